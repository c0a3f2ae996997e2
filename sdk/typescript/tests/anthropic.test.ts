/** Calls through the real library are recorded, and their callers see no difference. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import Anthropic, { APIError } from "@anthropic-ai/sdk";

import { instrument, uninstrument, wrap } from "../src/index.node.js";
import { Provider } from "./provider.js";
import { startRecording } from "./recording.js";

const ASK = {
  model: "claude-4",
  max_tokens: 10,
  messages: [{ role: "user" as const, content: "Hi" }],
};
type Way = (client: Anthropic) => Promise<unknown>;

async function read<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const WAYS: Record<string, Way> = {
  create: (client) => client.messages.create(ASK),
  "beta create": (client) => client.beta.messages.create(ASK),
  withResponse: async (client) => {
    const { data, response } = await client.messages.create(ASK).withResponse();
    return [data, response.status];
  },
  stream: async (client) => read(await client.messages.create({ ...ASK, stream: true })),
  "stream()": async (client) => {
    const stream = client.messages.stream(ASK);
    return [await read(stream), await stream.finalMessage(), await stream.finalText()];
  },
  "stream().on()": async (client) => {
    const texts: string[] = [];
    await client.messages
      .stream(ASK)
      .on("text", (text) => texts.push(text))
      .done();
    return texts;
  },
};

describe("anthropic", async () => {
  const { recorded, reports, door } = await startRecording();
  const provider = await Provider.opened();
  const plain = () => new Anthropic({ apiKey: "x", baseURL: provider.url, maxRetries: 0 });
  after(() => provider.close());

  for (const [name, way] of Object.entries(WAYS)) {
    test(`a message by ${name} is recorded, and looks the same`, async () => {
      const expected = await way(plain());
      assert.deepEqual(await way(wrap(plain())), expected);
      const [event, ...others] = await recorded();
      assert.deepEqual(others, []);
      const isStream = name.startsWith("stream");
      assert.equal(event!["provider_name"], "anthropic");
      assert.equal(event!["operation_name"], "chat");
      assert.equal(event!["request_model"], "claude-4");
      assert.equal(event!["input_tokens"], 100);
      assert.equal(event!["cache_read_input_tokens"], 90);
      assert.equal(event!["output_tokens"], isStream ? 25 : 1);
      assert.deepEqual(event!["response_finish_reasons"], ["end_turn"]);
      assert.equal(event!["usage_source"], "provider");
      assert.equal(event!["is_stream"], isStream);
      assert.deepEqual(reports, []);
    });
  }

  test("a refused call is recorded with its status, and throws the same error", async () => {
    const fails = (client: Anthropic) => client.messages.create({ ...ASK, model: "unknown" });
    const found = await fails(wrap(plain())).catch((error: unknown) => error);
    assert.ok(found instanceof APIError && found.status === 404);
    const [event] = await recorded();
    assert.equal(event!["error_type"], "404");
  });

  test("a stream that its reader leaves has the counts so far, as an estimate", async () => {
    const stream = await wrap(plain()).messages.create({ ...ASK, stream: true });
    for await (const event of stream) {
      assert.equal(event.type, "message_start");
      break;
    }
    const [event] = await recorded();
    assert.equal(event!["usage_source"], "estimated");
    assert.equal(event!["input_tokens"], 100);
    assert.equal(event!["error_type"], undefined);
  });

  test("a stream whose helper is aborted is recorded", async () => {
    provider.standsStillAfter = 2;
    const stream = wrap(plain()).messages.stream(ASK);
    stream.on("streamEvent", () => stream.abort());
    await assert.rejects(stream.done());
    provider.standsStillAfter = null;
    await door.waitFor(1, 5);
    const [event] = await recorded();
    assert.equal(event!["usage_source"], "estimated");
  });

  test("a stream that breaks off throws the same, and is recorded as failed", async () => {
    provider.breaksAfter = 2;
    const fails = async (client: Anthropic) => {
      return read(await client.messages.create({ ...ASK, stream: true }));
    };
    const expected = await fails(plain()).catch((error: Error) => error.message);
    assert.equal(await fails(wrap(plain())).catch((error: Error) => error.message), expected);
    provider.breaksAfter = null;
    const [event] = await recorded();
    assert.ok(event!["error_type"]);
    assert.equal(event!["usage_source"], "estimated");
  });

  test("instrument covers every client of the class until uninstrument", async () => {
    instrument(Anthropic);
    await plain().messages.create(ASK);
    assert.equal((await recorded()).length, 1);
    uninstrument();
    await plain().messages.create(ASK);
    assert.equal((await recorded()).length, 0);
  });

  test("batches are not mistaken for calls", async () => {
    await wrap(plain()).messages.batches.create({ requests: [] });
    assert.equal((await recorded()).length, 0);
  });
});
