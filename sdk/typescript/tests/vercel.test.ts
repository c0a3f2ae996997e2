/** Calls through the AI SDK are recorded, and their callers see no difference. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText, wrapLanguageModel } from "ai";

import { languageModelMiddleware, wrap } from "../src/index.node.js";
import { Provider } from "./provider.js";
import { startRecording } from "./recording.js";

async function read<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe("the AI SDK", async () => {
  const { recorded, reports, start } = await startRecording();
  const provider = await Provider.opened();
  after(() => provider.close());

  const plain = (id = "gpt-4o") => {
    return createOpenAI({ apiKey: "x", baseURL: `${provider.url}/v1` }).chat(id);
  };
  const WRAPS = {
    "a wrapped model": (id?: string) => wrap(plain(id), { user_id: "ann" }),
    "the middleware": (id?: string) => {
      const middleware = languageModelMiddleware({ user_id: "ann" });
      return wrapLanguageModel({ model: plain(id), middleware });
    },
  };
  for (const [name, model] of Object.entries(WRAPS)) {
    test(`generateText by ${name} is recorded, and looks the same`, async () => {
      const expected = await generateText({ model: plain(), prompt: "Hi" });
      const found = await generateText({ model: model(), prompt: "Hi" });
      assert.equal(found.text, expected.text);
      assert.deepEqual(found.usage, expected.usage);
      const [event, ...others] = await recorded();
      assert.deepEqual(others, []);
      assert.equal(event!["provider_name"], "openai");
      assert.equal(event!["request_model"], "gpt-4o");
      assert.equal(event!["response_model"], "gpt-4o-2024");
      assert.equal(event!["user_id"], "ann");
      assert.equal(event!["input_tokens"], 12);
      assert.equal(event!["output_tokens"], 5);
      assert.equal(event!["cache_read_input_tokens"], 4);
      assert.equal(event!["usage_source"], "provider");
      assert.deepEqual(event!["response_finish_reasons"], ["stop"]);
      assert.deepEqual(reports, []);
    });

    test(`streamText by ${name} is recorded, and looks the same`, async () => {
      const expected = await read(streamText({ model: plain(), prompt: "Hi" }).textStream);
      assert.deepEqual(
        await read(streamText({ model: model(), prompt: "Hi" }).textStream),
        expected,
      );
      const [event, ...others] = await recorded();
      assert.deepEqual(others, []);
      assert.equal(event!["is_stream"], true);
      assert.equal(event!["input_tokens"], 12);
      assert.equal(event!["usage_source"], "provider");
      assert.ok(Number(event!["time_to_first_chunk_seconds"]) > 0);
    });

    test(`a refused call by ${name} is recorded with its status`, async () => {
      await assert.rejects(generateText({ model: model("unknown"), prompt: "Hi", maxRetries: 0 }));
      const [event] = await recorded();
      assert.equal(event!["error_type"], "404");
      assert.equal(event!["usage_source"], "missing");
    });
  }

  test("a stream that its reader leaves is recorded", async () => {
    const { stream } = await wrap(plain()).doStream({
      prompt: [{ role: "user", content: [{ type: "text", text: "Hi" }] }],
    });
    for await (const part of stream) {
      assert.ok(part);
      break;
    }
    const [event] = await recorded();
    assert.equal(event!["usage_source"], "missing");
    assert.equal(event!["error_type"], undefined);
  });

  test("a model of specification v2 is understood", async () => {
    const usage = { inputTokens: 9, outputTokens: 4, totalTokens: 13, cachedInputTokens: 3 };
    const model = {
      specificationVersion: "v2",
      provider: "google.generative-ai",
      modelId: "gemini",
      doGenerate: async () => ({ content: [], finishReason: "stop", usage, warnings: [] }),
      doStream: async () => ({ stream: new ReadableStream() }),
    };
    await wrap(model).doGenerate();
    const [event] = await recorded();
    assert.equal(event!["provider_name"], "gcp.gemini");
    assert.equal(event!["input_tokens"], 9);
    assert.equal(event!["cache_read_input_tokens"], 3);
    assert.deepEqual(event!["response_finish_reasons"], ["stop"]);
  });

  test("content is recorded where it is asked for", async () => {
    start({ captureContent: true });
    await read(streamText({ model: wrap(plain()), prompt: "Hi" }).textStream);
    const [event] = await recorded();
    assert.match(JSON.stringify(event!["input_messages"]), /Hi/);
    assert.match(JSON.stringify(event!["output_messages"]), /He said/);
    start();
  });
});
