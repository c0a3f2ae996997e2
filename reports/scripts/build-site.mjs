// Build the page shell into `build/` unless the one there was made from the same files. Needs no
// database and no data: the pages load their data in the browser.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { PROJECT, runEvidence } from './environment.mjs';

const BUILD = path.join(PROJECT, 'build');
const FINGERPRINT = path.join(BUILD, 'fingerprint.txt');
const INPUTS = [
  'components', 'pages', 'partials', 'queries', 'scripts', 'sources',
  'evidence.config.yaml', 'package-lock.json', 'package.json', 'svelte.config.js',
];
const COMPRESSED = new Set(['.css', '.js', '.wasm']);

function filesBelow(entry) {
  if (!fs.existsSync(entry)) return [];
  if (fs.statSync(entry).isFile()) return [entry];
  return fs.readdirSync(entry).sort().flatMap((name) => filesBelow(path.join(entry, name)));
}

function inputFingerprint() {
  const hash = createHash('sha256');
  for (const file of INPUTS.flatMap((name) => filesBelow(path.join(PROJECT, name)))) {
    if (file.includes('__pycache__')) continue;
    hash.update(path.relative(PROJECT, file)).update('\0').update(fs.readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

// DuckDB alone is 36 MB plain and 10 MB compressed: a server that knows .gz files sends those.
function compressAssets() {
  for (const file of filesBelow(BUILD)) {
    if (COMPRESSED.has(path.extname(file))) fs.writeFileSync(`${file}.gz`, gzipSync(fs.readFileSync(file)));
  }
}

const fingerprint = inputFingerprint();
if (fs.existsSync(FINGERPRINT) && fs.readFileSync(FINGERPRINT, 'utf8').trim() === fingerprint) {
  console.log(`report pages: up to date (${fingerprint})`);
} else {
  for (const folder of ['build', '.evidence/template']) {
    fs.rmSync(path.join(PROJECT, folder), { recursive: true, force: true });
  }
  runEvidence(['build'], { VITE_EVIDENCE_SPA: 'true' });
  compressAssets();
  fs.writeFileSync(FINGERPRINT, `${fingerprint}\n`);
  console.log(`report pages: built (${fingerprint})`);
}
