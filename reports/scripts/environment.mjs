// Where Evidence runs and what it may write: everything it keeps lies in the state folder of this clone.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('..', import.meta.url));

const STATE = path.resolve(process.env.LLMSCOPE_HOME ?? path.join(PROJECT, '..', '.llmscope'), 'reports');
const HOME = path.join(STATE, 'home');
const EXTENSION = path.join(PROJECT, 'static', 'duckdb-ext', 'v1.3.2');
const EXTENSION_CACHE = path.join(HOME, '.duckdb', 'extensions', 'extensions.duckdb.org', 'v1.3.2');

// DuckDB in Node looks for extensions below HOME before it turns to the network.
function prepareHome() {
  if (!fs.existsSync(path.join(EXTENSION, 'wasm_eh', 'parquet.duckdb_extension.wasm'))) {
    throw new Error('DuckDB parquet extension missing. Run: python reports/scripts/fetch_duckdb_extension.py');
  }
  fs.cpSync(EXTENSION, EXTENSION_CACHE, { recursive: true });
}

/** Run one Evidence command to its end; its exit code becomes ours when it fails. */
export function runEvidence(args, environment = {}) {
  prepareHome();
  const cli = path.join(PROJECT, 'node_modules', '@evidence-dev', 'evidence', 'cli.js');
  const { status, error } = spawnSync(process.execPath, [cli, ...args], {
    cwd: PROJECT,
    stdio: 'inherit',
    env: {
      ...process.env,
      HOME,
      // The Postgres connector reads a date as midnight in the zone of this process.
      TZ: 'UTC',
      npm_config_cache: path.join(HOME, '.npm'),
      npm_config_update_notifier: 'false',
      ...environment,
    },
  });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

export const DATA = path.join(STATE, 'data');
