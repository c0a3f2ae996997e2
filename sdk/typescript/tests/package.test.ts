/** The package builds, and works where nothing else is installed. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { VERSION } from "../src/version.js";
import { Door } from "./door.js";

const ROOT = process.cwd();
const MANIFEST = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
  dependencies?: unknown;
};
const USE = `
llmscope.init({ apiKey: "llms_x", url: process.argv[2], spoolDirectory: "off" });
llmscope.context({ user_id: "ann" }, () => {
  llmscope.record({ provider_name: "acme", request_model: "m1", input_tokens: 3 });
});
llmscope.flush(10).then((isDelivered) => console.log(isDelivered, llmscope.VERSION));
`;

const run = promisify(execFile);

describe("the packed package", () => {
  let home = "";

  before(async () => {
    home = mkdtempSync(join(tmpdir(), "llmscope-"));
    await run("npm", ["run", "--silent", "build"], { cwd: ROOT });
    const pack = ["pack", "--silent", "--pack-destination", home];
    const packed = (await run("npm", pack, { cwd: ROOT })).stdout.trim();
    // A package without dependencies is installed by unpacking it.
    mkdirSync(place(), { recursive: true });
    await run("tar", ["-xzf", join(home, packed), "-C", place(), "--strip-components=1"]);
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  function place(): string {
    return join(home, "node_modules", "@llmscope", "sdk");
  }

  for (const [file, first] of [
    ["app.mjs", 'import * as llmscope from "@llmscope/sdk";'],
    ["app.cjs", 'const llmscope = require("@llmscope/sdk");'],
  ] as const) {
    test(`works as ${file} in an empty folder`, async (t) => {
      const door = await Door.opened();
      t.after(() => door.close());
      writeFileSync(join(home, file), `${first}\n${USE}`);
      const done = await run(process.execPath, [file, door.url], { cwd: home });
      assert.equal(done.stdout.trim(), `true ${VERSION}`);
      assert.equal(done.stderr, "");
      assert.equal(door.taken[0]?.["user_id"], "ann");
    });
  }

  test("is typed for both ways of importing it, and holds nothing else", async () => {
    assert.deepEqual(readdirSync(place()).sort(), [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist",
      "package.json",
    ]);
    const program = `import { init, record, type EventFields } from "@llmscope/sdk";
      const fields: EventFields = { provider_name: "acme", request_model: "m1" };
      init({ flushAt: 5 });
      record(fields);
      // @ts-expect-error an option that there is not
      init({ flush_at: 5 });
      // @ts-expect-error a field that there is not
      record({ providerName: "acme" });`;
    for (const name of ["app.mts", "app.cts"]) writeFileSync(join(home, name), program);
    const options = {
      compilerOptions: { strict: true, module: "nodenext", noEmit: true, types: [] },
    };
    const files = ["app.mts", "app.cts"];
    writeFileSync(join(home, "tsconfig.json"), JSON.stringify({ ...options, files }));
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    await run(process.execPath, [tsc, "-p", home]);
  });
});

test("the version is that of the manifest and of the changelog, and nothing is depended on", () => {
  assert.equal(MANIFEST.version, VERSION);
  assert.equal(MANIFEST.dependencies, undefined);
  assert.match(readFileSync(join(ROOT, "CHANGELOG.md"), "utf8"), new RegExp(`^## ${VERSION}`, "m"));
});

test("what is for every runtime imports nothing of Node", () => {
  const names = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  for (const name of names.filter((one) => one.endsWith(".ts"))) {
    if (name === "index.node.ts" || name.startsWith("node/")) continue;
    const source = readFileSync(join(ROOT, "src", name), "utf8");
    assert.doesNotMatch(source, /from "node:|from "[^"]*\/node\//, name);
  }
});
