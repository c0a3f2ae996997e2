// Read every source query into parquet files below the state folder. Needs EVIDENCE_SOURCE__llmscope__*.
import fs from 'node:fs';
import { DATA, runEvidence } from './environment.mjs';

// Evidence merges into the manifest it finds: without this a removed source would stay published.
fs.rmSync(DATA, { recursive: true, force: true });
runEvidence(['sources', '--strict'], { EVIDENCE_DATA_DIR: DATA, EVIDENCE_DATA_URL_PREFIX: 'static/data' });
