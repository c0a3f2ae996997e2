/** Compiles the tests and runs them: all, or the files that are named. */
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tsc = join(
  dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
  "bin/tsc",
);

rmSync(join(root, ".build"), { recursive: true, force: true });
execFileSync(process.execPath, [tsc, "-p", "tsconfig.test.json"], { cwd: root, stdio: "inherit" });
const named = process.argv.slice(2);
const found = readdirSync(join(root, ".build/tests")).filter((name) => name.endsWith(".test.js"));
const files = found
  .filter((name) => !named.length || named.some((one) => name.startsWith(one)))
  .map((name) => join(root, ".build/tests", name));
const options = ["--enable-source-maps", "--expose-gc", "--test", "--test-reporter=spec"];
const done = spawnSync(process.execPath, [...options, ...files], { cwd: root, stdio: "inherit" });
process.exit(done.status ?? 1);
