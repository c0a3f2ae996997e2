/** Calls through the other client libraries are recorded, and their callers see no difference. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { GoogleGenAI } from "@google/genai";
import { InferenceClient } from "@huggingface/inference";
import { Mistral } from "@mistralai/mistralai";
import { CohereClient, CohereClientV2 } from "cohere-ai";

import { OptionError } from "../src/errors.js";
import { wrap } from "../src/index.node.js";
import { Provider } from "./provider.js";
import { startRecording, untilCollected } from "./recording.js";

async function read<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
const MESSAGES = [{ role: "user" as const, content: "Hi" }];

type Way = () => Promise<unknown>;
/** What is asked through a client, plain or wrapped, and what its event holds. */
interface Case {
  readonly ask: (wrapped: <Client extends object>(client: Client) => Client) => Promise<unknown>;
  readonly event: Record<string, unknown>;
}

describe("the other libraries", async () => {
  const { recorded, reports, door } = await startRecording();
  const provider = await Provider.opened();
  after(() => provider.close());

  const google = () => new GoogleGenAI({ apiKey: "x", httpOptions: { baseUrl: provider.url } });
  const mistral = () => new Mistral({ apiKey: "x", serverURL: provider.url });
  const cohere = () => new CohereClientV2({ token: "x", environment: provider.url });
  const huggingFace = () => {
    return new InferenceClient("hf_x", { endpointUrl: `${provider.url}/v1/chat/completions` });
  };
  const gemini = {
    provider_name: "gcp.gemini",
    operation_name: "generate_content",
    request_model: "gemini-2.5-flash",
    response_model: "gemini-2.5-flash-001",
    input_tokens: 10,
    output_tokens: 10,
    reasoning_output_tokens: 6,
    response_finish_reasons: ["STOP"],
  };
  const question = { model: "gemini-2.5-flash", contents: "Hi" };
  const counted = { input_tokens: 12, output_tokens: 5, cache_read_input_tokens: 4 };
  const billed = { provider_name: "cohere", input_tokens: 7, output_tokens: 2 };

  const CASES: Record<string, Case> = {
    "google, generateContent": {
      ask: (wrapped) => wrapped(google()).models.generateContent(question),
      event: { ...gemini, is_stream: false },
    },
    "google, generateContentStream": {
      ask: async (wrapped) => read(await wrapped(google()).models.generateContentStream(question)),
      event: { ...gemini, is_stream: true },
    },
    "google, chats": {
      ask: async (wrapped) => {
        const chat = wrapped(google()).chats.create({ model: "gemini-2.5-flash" });
        return (await chat.sendMessage({ message: "Hi" })).text;
      },
      event: { ...gemini, is_stream: false },
    },
    "mistral, chat.complete": {
      ask: (wrapped) => {
        return wrapped(mistral()).chat.complete({ model: "mistral-small", messages: MESSAGES });
      },
      event: { provider_name: "mistral_ai", request_model: "mistral-small", ...counted },
    },
    "mistral, chat.stream": {
      ask: async (wrapped) => {
        const asked = { model: "mistral-small", messages: MESSAGES };
        return read(await wrapped(mistral()).chat.stream(asked));
      },
      event: { provider_name: "mistral_ai", is_stream: true, usage_source: "missing" },
    },
    "mistral, embeddings": {
      ask: (wrapped) => wrapped(mistral()).embeddings.create({ model: "embed", inputs: "Hi" }),
      event: { operation_name: "embeddings", input_tokens: 8 },
    },
    "cohere, chat": {
      ask: (wrapped) => wrapped(cohere()).chat({ model: "command-a", messages: MESSAGES }),
      event: { ...billed, request_model: "command-a", response_finish_reasons: ["COMPLETE"] },
    },
    "cohere, chatStream": {
      ask: async (wrapped) => {
        const asked = { model: "command-a", messages: MESSAGES };
        return read(await wrapped(cohere()).chatStream(asked));
      },
      event: { ...billed, is_stream: true, usage_source: "provider" },
    },
    "cohere, embed": {
      ask: (wrapped) => {
        const asked = { model: "embed-v4", texts: ["Hi"], inputType: "search_query" as const };
        return wrapped(cohere()).embed({ ...asked, embeddingTypes: ["float"] });
      },
      event: { operation_name: "embeddings", input_tokens: 8 },
    },
    "cohere, rerank by the older client": {
      ask: (wrapped) => {
        const client = new CohereClient({ token: "x", environment: provider.url });
        return wrapped(client).v2.rerank({ model: "rerank-v4", query: "a", documents: ["b"] });
      },
      event: { operation_name: "rerank", usage_source: "provider", request_model: "rerank-v4" },
    },
    "hugging face, chatCompletion": {
      ask: (wrapped) => {
        return wrapped(huggingFace()).chatCompletion({ model: "llama", messages: MESSAGES });
      },
      event: { provider_name: "hugging_face", request_model: "llama", ...counted },
    },
    "hugging face, chatCompletionStream": {
      ask: async (wrapped) => {
        const asked = { model: "llama", messages: MESSAGES };
        return read(wrapped(huggingFace()).chatCompletionStream(asked));
      },
      event: { is_stream: true, ...counted, usage_source: "provider" },
    },
  };
  for (const [name, { ask, event: expected }] of Object.entries(CASES)) {
    test(`${name} is recorded, and looks the same`, async () => {
      const answer = plain(await ask((client) => client));
      assert.equal((await recorded()).length, 0);
      assert.deepEqual(plain(await ask(wrap)), answer);
      const [event, ...others] = await recorded();
      assert.deepEqual(others, []);
      const told = Object.keys(expected).map((field) => [field, event![field]]);
      assert.deepEqual(Object.fromEntries(told), expected);
      assert.equal(event!["http_status_code"], 200);
      assert.deepEqual(reports, []);
    });
  }

  const REFUSED: Record<string, Way> = {
    google: () => wrap(google()).models.generateContent({ ...question, model: "unknown" }),
    mistral: () => wrap(mistral()).chat.complete({ model: "unknown", messages: MESSAGES }),
    cohere: () => wrap(cohere()).chat({ model: "unknown", messages: MESSAGES }),
    huggingFace: () => {
      return wrap(huggingFace()).chatCompletion({ model: "unknown", messages: MESSAGES });
    },
  };
  for (const [name, way] of Object.entries(REFUSED)) {
    test(`a call that ${name} refuses is recorded with its status`, async () => {
      await assert.rejects(way());
      const [event, ...others] = await recorded();
      assert.deepEqual(others, []);
      assert.equal(event!["error_type"], "404");
      assert.equal(event!["error_message"], "No such model.");
      assert.equal(event!["http_status_code"], 404);
      assert.equal(event!["usage_source"], "missing");
    });
  }

  test("a server that mistral cannot reach is a failure", async () => {
    const nobody = wrap(new Mistral({ apiKey: "x", serverURL: "http://127.0.0.1:9" }));
    await assert.rejects(nobody.chat.complete({ model: "m", messages: MESSAGES }));
    const [event] = await recorded();
    assert.ok(event!["error_type"]);
  });

  test("a stream that its reader leaves is recorded, with the counts so far as an estimate", async () => {
    for await (const chunk of await wrap(google()).models.generateContentStream(question)) {
      assert.ok(chunk);
      break;
    }
    // The library only drops it.
    await untilCollected(() => door.events.size > 0);
    const [event] = await recorded();
    assert.equal(event!["usage_source"], "estimated");
    assert.equal(event!["input_tokens"], 10);
  });

  test("what is no client is refused", () => {
    assert.throws(() => wrap({}), OptionError);
    assert.throws(() => wrap(new Date()), /Date is nothing that llmscope knows/);
  });
});
