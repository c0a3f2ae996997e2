// Patches to Evidence 40.1.8, run after each install. An edit that does not match exactly once stops
// the install: a new version must be read again before these are carried over.
import fs from 'node:fs';

const EVIDENCE = new URL('../node_modules/@evidence-dev/', import.meta.url);

function edit(file, replacements) {
  const path = new URL(file, EVIDENCE);
  let source = fs.readFileSync(path, 'utf8');
  for (const [before, after] of replacements) {
    if (source.includes(after)) continue;
    if (source.split(before).length !== 2) {
      throw new Error(`patch-evidence: ${file} is not the version these patches were written for`);
    }
    source = source.replace(before, () => after);
  }
  fs.writeFileSync(path, source);
}

// Browser: parquet comes from this site; extensions.duckdb.org is never asked.
const beforeTables = "\tif (!db) await initDB();\n\tif (!append) await emptyDbFs('*');\n";
edit('universal-sql/src/client-duckdb/browser.js', [
  [
    beforeTables,
    beforeTables +
      "\tawait connection.query(`SET custom_extension_repository = '${new URL(addBasePath('/duckdb-ext'), window.location.href).href}'`);\n" +
      "\tawait connection.query('LOAD parquet');\n" +
      "\tawait connection.query('SET autoload_known_extensions = false');\n",
  ],
]);

// Node: a missing extension is an error; by default it is a download that waits for ever.
const connected = '\t\tconnection = db.connect();\n';
edit('universal-sql/src/client-duckdb/node.js', [
  [
    connected,
    connected +
      "\t\tconnection.query('LOAD parquet');\n" +
      "\t\tconnection.query('SET autoload_known_extensions = false');\n",
  ],
]);

// An empty table becomes an empty, typed parquet file (by default: no file, and every page fails), and
// a date or boolean column that holds only nulls keeps its type (by default: a number).
edit('universal-sql/src/build-parquet.js', [
  ['\tif (!tmpFilenames.length) return 0;\n', '\tif (!tmpFilenames.length) await flush([]);\n'],
  [
    'const select = `SELECT * FROM read_parquet(',
    "const sqlTypes = { date: 'TIMESTAMP', boolean: 'BOOLEAN', number: 'DOUBLE', string: 'VARCHAR' };\n" +
      '\tconst typed = columns.map((c) => `CAST(CAST("${c.name}" AS VARCHAR) AS ${sqlTypes[c.evidenceType]}) AS "${c.name}"`);\n' +
      '\tconst select = `SELECT ${typed.join(\', \')} FROM read_parquet(',
  ],
]);

// The database's own message reaches the log (by default: "Cannot read properties of undefined").
edit('postgres/index.cjs', [
  [
    'COUNT(*) as rows FROM root`)\n\t\t\t.catch(() => undefined);',
    'COUNT(*) as rows FROM root`);',
  ],
]);

// Date inputs give the chosen day; by default viewers east of UTC get the day before.
edit('core-components/dist/atoms/inputs/date-input/DateInput.svelte', [
  [
    'dateToYYYYMMDD(selectedDateInput.start?.toDate(getLocalTimeZone()) ?? new Date(0))',
    "(selectedDateInput.start?.toString() ?? '1970-01-01').slice(0, 10)",
  ],
  [
    'dateToYYYYMMDD(selectedDateInput.end?.toDate(getLocalTimeZone()) ?? new Date())',
    '(selectedDateInput.end?.toString() ?? currentDate).slice(0, 10)',
  ],
  [
    'dateToYYYYMMDD(selectedDateInput.toDate(getLocalTimeZone()) ?? new Date(0))',
    'selectedDateInput.toString().slice(0, 10)',
  ],
]);
