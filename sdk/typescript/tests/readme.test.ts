/** The README says what the code does. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as llmscope from "../src/index.node.js";
import { OPTIONS } from "../src/options.js";

const README = readFileSync(join(process.cwd(), "README.md"), "utf8");

function defaultWords(value: unknown): string {
  return value === null || value === "" ? "" : `\`${String(value)}\``;
}

test("every option is in the table", () => {
  const rows = Object.entries(OPTIONS).map(([name, option]) => {
    return `| \`${name}\` | ${defaultWords(option.default)} | ${option.unit ?? ""} | ${option.about} |`;
  });
  const table = rows.join("\n");
  assert.ok(README.includes(table), `the table should be:\n${table}`);
});

test("every public function is explained", () => {
  const names = Object.entries(llmscope)
    .filter(([name, value]) => typeof value === "function" && /^[a-z]/.test(name))
    .map(([name]) => name);
  assert.deepEqual(
    names.filter((name) => !README.includes(`${name}(`)),
    [],
  );
});

test("every library that the tests use is named", () => {
  const manifest = readFileSync(join(process.cwd(), "package.json"), "utf8");
  const { devDependencies } = JSON.parse(manifest) as { devDependencies: Record<string, string> };
  const tools = ["typescript", "@types/node", "@ai-sdk/openai", "prettier"];
  const libraries = Object.keys(devDependencies).filter((name) => !tools.includes(name));
  assert.deepEqual(
    libraries.filter((name) => !README.includes(`| \`${name}\``)),
    [],
  );
});

test("every reason of a loss is explained", () => {
  const source = readdirSync(join(process.cwd(), "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(process.cwd(), "src", name), "utf8"))
    .join("\n");
  const counted = [...source.matchAll(/(?:\.count|UnsendableError)\(\s*"(\w+)"/g)];
  const reasons = [...counted.map(([, reason]) => reason!), "queue_full"];
  assert.ok(reasons.includes("rejected"));
  assert.deepEqual(
    reasons.filter((reason) => !README.includes(`\`${reason}\``)),
    [],
  );
});
