/** This SDK does what `sdk/contract` says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { OptionError } from "../src/errors.js";
import * as events from "../src/events.js";
import { MAX_BATCH_EVENTS, OPTIONS, resolve, variableOf, type Options } from "../src/options.js";
import { answerFields, apiOf, type Apis } from "../src/providers/apis.js";
import * as catalog from "../src/providers/catalog.js";
import { EventCutter } from "../src/providers/events.js";
import { HOST_ENDINGS, providerAt } from "../src/providers/hosts.js";
import { judge, type Answer } from "../src/transport/verdicts.js";

const CONTRACT = join(process.cwd(), "..", "contract");

/** What this SDK covers, by the names that the cases have for client libraries. */
const APIS: Readonly<Record<string, Apis>> = {
  openai: catalog.OPENAI_APIS,
  groq: catalog.OPENAI_APIS,
  anthropic: catalog.ANTHROPIC_APIS,
  google: catalog.GOOGLE_APIS,
  mistral: catalog.MISTRAL_APIS,
  cohere: catalog.COHERE_APIS,
  huggingface: catalog.HUGGING_FACE_APIS,
};

interface Case {
  readonly name: string;
}
interface AnswerCase extends Case {
  readonly client: string;
  readonly api: string;
  readonly response?: Record<string, unknown>;
  readonly stream?: readonly (readonly [string, unknown])[];
  readonly event: Record<string, unknown>;
}
interface RetryCase extends Case {
  readonly answer: Answer & { headers?: Record<string, string>; body?: unknown };
  readonly events?: readonly string[];
  readonly now?: number;
  readonly expect: {
    readonly again?: number[];
    readonly dropped?: number[];
    readonly is_split?: boolean;
    readonly is_limited?: boolean;
    readonly retry_after_seconds?: number;
  };
}
interface OptionCase extends Case {
  readonly arguments: Record<string, unknown>;
  readonly environment: Record<string, string>;
  readonly expect?: Record<string, unknown>;
  readonly error?: string;
}

function contract(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(CONTRACT, ...path), "utf8"));
}

function cases<Kind extends Case>(name: string): Kind[] {
  return contract("cases", `${name}.json`) as Kind[];
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

describe("an answer yields the fields of the case", () => {
  for (const one of cases<AnswerCase>("answers")) {
    const apis = APIS[one.client];
    const skip = apis ? false : `the client ${one.client} is not covered`;
    test(`${one.client}: ${one.name}`, { skip }, () => {
      const api = apiOf(apis!, one.api);
      assert.ok(api, one.api);
      const { response, isFinal } = one.response
        ? { response: one.response, isFinal: true }
        : streamed(new api.stream(), one.stream!);
      const { usage_details, ...told } = plain(answerFields(api, response, isFinal, false));
      assert.deepEqual(told, one.event);
      if (one.response?.["usage"]) assert.deepEqual(usage_details, one.response["usage"]);
    });
  }
});

function streamed(
  reader: InstanceType<NonNullable<ReturnType<typeof apiOf>>["stream"]>,
  stream: readonly (readonly [string, unknown])[],
) {
  const cutter = new EventCutter();
  for (const [name, data] of stream) {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    const bytes = new TextEncoder().encode(`event: ${name}\r\ndata: ${text}\r\n\r\n`);
    for (const event of cutter.feed(bytes)) {
      if (event.data.startsWith("{")) reader.add(event.name, JSON.parse(event.data));
    }
  }
  return reader;
}

describe("an answer has the verdict of the case", () => {
  for (const one of cases<RetryCase>("retries")) {
    test(one.name, () => {
      const { status = null, headers, body = "", failure = "" } = one.answer;
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const retryAfter = headers?.["Retry-After"] ?? null;
      const answer = { status, body: text, retryAfter, failure };
      const verdict = judge(answer, one.events ?? ["a", "b", "c"], one.now ?? 0);
      assert.deepEqual(verdict.again, one.expect.again ?? []);
      assert.deepEqual([...verdict.dropped.keys()], one.expect.dropped ?? []);
      assert.equal(verdict.isSplit, one.expect.is_split ?? false);
      assert.equal(verdict.retryAfterSeconds, one.expect.retry_after_seconds ?? null);
      if (verdict.again.length) assert.equal(verdict.isLimited, one.expect.is_limited ?? false);
    });
  }
});

describe("an option comes from where the case says", () => {
  for (const one of cases<OptionCase>("options")) {
    test(one.name, () => {
      const given = Object.entries(one.arguments).map(([name, value]) => [camel(name), value]);
      const resolved = () => resolve(Object.fromEntries(given), one.environment);
      if (one.error) {
        assert.throws(resolved, (error) => {
          return error instanceof OptionError && error.option === camel(one.error!);
        });
        return;
      }
      const options = resolved();
      for (const [name, value] of Object.entries(one.expect ?? {})) {
        assert.equal(options[camel(name) as keyof Options], value, name);
      }
    });
  }
});

test("each option has the variable of the Python SDK", () => {
  const table = readFileSync(join(CONTRACT, "..", "python", "README.md"), "utf8");
  const python = [...table.matchAll(/^\| `(\w+)` \| .* \| .* \| .* \|$/gm)].map(([, name]) => name);
  const ours = Object.keys(OPTIONS).filter((name) => name !== "getToken");
  assert.deepEqual(
    ours.map((name) => variableOf(name).slice(9).toLowerCase()),
    python,
  );
});

type Schema = Record<string, { anyOf?: Kind[] } & Kind>;
interface Kind {
  readonly type?: string;
  readonly maxLength?: number;
  readonly maxProperties?: number;
  readonly maxItems?: number;
  readonly propertyNames?: Kind;
  readonly additionalProperties?: Kind;
  readonly items?: Kind;
}
const SCHEMA = (contract("event.schema.json") as { properties: Schema }).properties;

function kindsOf(name: string): Kind[] {
  const field = SCHEMA[name]!;
  return field.anyOf ?? [field];
}

test("every field is one of the contract", () => {
  assert.deepEqual([...events.FIELDS].sort(), Object.keys(SCHEMA).sort());
});

test("every limit of a text is that of the contract", () => {
  const limits: Record<string, number> = {};
  for (const name of Object.keys(SCHEMA)) {
    const limit = kindsOf(name).find((kind) => kind.type === "string")?.maxLength;
    if (limit !== undefined) limits[name] = limit;
  }
  assert.deepEqual(limits, events.MAX_CHARACTERS);
});

test("every limit of tags and lists is that of the contract", () => {
  const tags = kindsOf("tags").find((kind) => kind.type === "object")!;
  assert.equal(tags.maxProperties, events.MAX_TAGS);
  assert.equal(tags.propertyNames?.maxLength, events.MAX_TAG_KEY_CHARACTERS);
  assert.equal(tags.additionalProperties?.maxLength, events.MAX_TAG_VALUE_CHARACTERS);
  const reasons = kindsOf("response_finish_reasons").find((kind) => kind.type === "array")!;
  assert.equal(reasons.maxItems, events.MAX_FINISH_REASONS);
  assert.equal(reasons.items?.maxLength, events.MAX_LABEL_CHARACTERS);
});

test("the addresses of providers are those of the contract", () => {
  const { host_endings } = contract("providers.json") as { host_endings: unknown };
  assert.deepEqual(HOST_ENDINGS, host_endings);
});

test("the address tells the provider", () => {
  for (const [address, provider] of [
    ["https://api.openai.com/v1/", "openai"],
    ["https://acme.openai.azure.com/openai/deployments/x/", "azure.ai.openai"],
    ["https://openrouter.ai/api/v1", "openrouter"],
    ["https://us-central1-aiplatform.googleapis.com/v1/", "gcp.vertex_ai"],
    ["http://localhost:8000/v1", "openai"],
  ]) {
    assert.equal(providerAt(address!, "openai"), provider);
  }
});

test("a batch is no larger than the server takes", () => {
  const page = readFileSync(join(CONTRACT, "..", "..", "docs", "events.md"), "utf8");
  assert.ok(page.includes(`| ${MAX_BATCH_EVENTS.toLocaleString("en")} events, 5 MiB |`));
});
