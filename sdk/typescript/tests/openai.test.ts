/** Calls through the real library are recorded, and their callers see no difference. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import Groq from "groq-sdk";
import OpenAI, { APIError, AzureOpenAI } from "openai";

import { context, init, instrument, uninstrument, wrap } from "../src/index.node.js";
import { Provider, USAGE } from "./provider.js";
import { startRecording, untilCollected } from "./recording.js";

const MESSAGES = [{ role: "user" as const, content: "Hi" }];
const ASK = { model: "gpt-4o", messages: MESSAGES };
type Way = (client: OpenAI) => Promise<unknown>;

async function read<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function textOf(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body!) text += decoder.decode(chunk, { stream: true });
  return text;
}

/** Every way to ask for a chat answer, and what the caller gets of it. */
const CHAT_WAYS: Record<string, Way> = {
  create: (client) => client.chat.completions.create(ASK),
  parse: async (client) => (await client.chat.completions.parse(ASK)).choices[0]?.message,
  "create().withResponse()": async (client) => {
    const { data, response, request_id } = await client.chat.completions.create(ASK).withResponse();
    return [data, request_id, response.status, response.bodyUsed, response.url];
  },
  "create().asResponse().json()": async (client) => {
    const response = await client.chat.completions.create(ASK).asResponse();
    assert.ok(response instanceof Response);
    return [await response.json(), response.bodyUsed];
  },
  "create().asResponse().text()": async (client) => {
    const response = await client.chat.completions.create(ASK).asResponse();
    return [response.bodyUsed, await response.text(), response.bodyUsed];
  },
  "create().asResponse().body": async (client) => {
    const response = await client.chat.completions.create(ASK).asResponse();
    assert.equal(response.body, response.body);
    return textOf(response.body);
  },
  "create().asResponse().arrayBuffer()": async (client) => {
    const response = await client.chat.completions.create(ASK).asResponse();
    return Buffer.from(await response.arrayBuffer()).toString();
  },
  "create().asResponse().clone()": async (client) => {
    const response = await client.chat.completions.create(ASK).asResponse();
    const copy = response.clone();
    return [await copy.json(), await response.json(), copy.url === response.url];
  },
  stream: async (client) => read(await client.chat.completions.create({ ...ASK, stream: true })),
  "stream, tee": async (client) => {
    const stream = await client.chat.completions.create({ ...ASK, stream: true });
    const [one, other] = stream.tee();
    return Promise.all([read(one), read(other)]);
  },
  "stream, toReadableStream": async (client) => {
    const stream = await client.chat.completions.create({ ...ASK, stream: true });
    return textOf(stream.toReadableStream() as ReadableStream<Uint8Array>);
  },
  "stream, asResponse": async (client) => {
    const response = await client.chat.completions.create({ ...ASK, stream: true }).asResponse();
    return response.text();
  },
  "stream with usage asked for": async (client) => {
    const stream_options = { include_usage: true };
    return read(await client.chat.completions.create({ ...ASK, stream: true, stream_options }));
  },
  "stream()": async (client) => {
    const stream = client.chat.completions.stream(ASK);
    const chunks = await read(stream);
    return [chunks, await stream.finalChatCompletion(), await stream.totalUsage()];
  },
};

describe("openai", async () => {
  const { recorded, reports, door } = await startRecording();
  const provider = await Provider.opened();
  const options = { apiKey: "sk-test", baseURL: `${provider.url}/v1`, maxRetries: 0 };
  const plain = () => new OpenAI(options);
  after(() => provider.close());

  for (const [name, way] of Object.entries(CHAT_WAYS)) {
    test(`chat by ${name} is recorded, and looks the same`, async () => {
      const expected = await way(plain());
      assert.deepEqual(await way(wrap(plain())), expected);
      const events = await recorded();
      assert.equal(events.length, 1);
      const { event_id, started_at, duration_seconds, time_to_first_chunk_seconds, ...event } =
        events[0]!;
      assert.ok(event_id && started_at && Number(duration_seconds) >= 0);
      const isStream = name.includes("stream");
      assert.equal(time_to_first_chunk_seconds !== undefined, isStream);
      assert.deepEqual(event, {
        provider_name: "openai",
        operation_name: "chat",
        request_model: "gpt-4o",
        response_model: "gpt-4o-2024",
        response_id: "chatcmpl-1",
        response_finish_reasons: ["stop"],
        is_stream: isStream,
        input_tokens: 12,
        output_tokens: 5,
        cache_read_input_tokens: 4,
        usage_source: "provider",
        usage_details: USAGE,
        http_status_code: 200,
        sdk_name: "llmscope-typescript",
        sdk_version: event["sdk_version"],
      });
      assert.deepEqual(reports, []);
    });
  }

  const OTHER_WAYS: Record<string, [Way, Record<string, unknown>]> = {
    responses: [
      (client) => client.responses.create({ model: "gpt-5", input: "Hi" }),
      { operation_name: "chat", input_tokens: 9, output_tokens: 3 },
    ],
    "responses, streamed": [
      async (client) => {
        return read(await client.responses.create({ model: "gpt-5", input: "Hi", stream: true }));
      },
      { operation_name: "chat", input_tokens: 9, output_tokens: 3, is_stream: true },
    ],
    "responses.stream()": [
      async (client) => {
        const stream = client.responses.stream({ model: "gpt-5", input: "Hi" });
        return [await read(stream), await stream.finalResponse()];
      },
      { operation_name: "chat", input_tokens: 9, output_tokens: 3, is_stream: true },
    ],
    completions: [
      (client) => client.completions.create({ model: "gpt-3.5-turbo-instruct", prompt: "Hi" }),
      { operation_name: "text_completion", input_tokens: 12, output_tokens: 5 },
    ],
    embeddings: [
      (client) => {
        return client.embeddings.create({ model: "embed", input: "Hi", encoding_format: "float" });
      },
      { operation_name: "embeddings", input_tokens: 8 },
    ],
    images: [
      (client) => client.images.generate({ model: "gpt-image-1", prompt: "Hi" }),
      { operation_name: "image_generation", input_tokens: 50, output_tokens: 4160 },
    ],
    transcriptions: [
      async (client) => {
        const file = new File([new Uint8Array(8)], "a.wav");
        return client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file });
      },
      { operation_name: "transcription", input_tokens: 14, output_tokens: 45 },
    ],
  };
  for (const [name, [way, expected]] of Object.entries(OTHER_WAYS)) {
    test(`${name} are recorded, and look the same`, async () => {
      const answer = await way(plain());
      assert.deepEqual(await way(wrap(plain())), answer);
      const [event, ...others] = await recorded();
      assert.deepEqual(others, []);
      const told = Object.keys(expected).map((field) => [field, event![field]]);
      assert.deepEqual(Object.fromEntries(told), expected);
      assert.equal(event!["usage_source"], "provider");
    });
  }

  test("what is no call of a model is not recorded", async () => {
    await assert.doesNotReject(wrap(plain()).models.list());
    assert.deepEqual(await recorded(), []);
  });

  test("usage is asked for on our own account only where the caller did not say otherwise", async () => {
    const client = wrap(plain());
    const asked = () => provider.asked.at(-1)!.body["stream_options"];
    await read(await client.chat.completions.create({ ...ASK, stream: true }));
    assert.deepEqual(asked(), { include_usage: true });
    const stream_options = { include_usage: false };
    const given = { ...ASK, stream: true as const, stream_options };
    await read(await client.chat.completions.create(given));
    assert.deepEqual(asked(), { include_usage: false });
    assert.deepEqual(given.stream_options, { include_usage: false });
    init({ apiKey: "k", url: door.url, spoolDirectory: "off", asksForStreamUsage: false });
    await read(await client.chat.completions.create({ ...ASK, stream: true }));
    assert.equal(asked(), undefined);
    init({ apiKey: "k", url: door.url, spoolDirectory: "off" });
    assert.equal(await door.waitFor(3), undefined);
    await recorded();
  });

  test("a refused call is recorded with its status, and throws the same error", async () => {
    const fails = (client: OpenAI) => client.chat.completions.create({ ...ASK, model: "unknown" });
    const expected = await fails(plain()).catch((error: APIError) => error);
    const found = await fails(wrap(plain())).catch((error: APIError) => error);
    assert.ok(expected instanceof APIError && found instanceof APIError);
    assert.deepEqual(
      [found.message, found.status, found.error],
      [expected.message, 404, expected.error],
    );
    const [event] = await recorded();
    assert.equal(event!["error_type"], "404");
    assert.equal(event!["http_status_code"], 404);
    assert.equal(event!["usage_source"], "missing");
    assert.match(String(event!["error_message"]), /No such model/);
  });

  test("the library's own retries are part of the call", async () => {
    provider.refusals = 2;
    await wrap(new OpenAI({ ...options, maxRetries: 2 })).chat.completions.create(ASK);
    const events = await recorded();
    assert.equal(events.length, 1);
    assert.equal(events[0]!["error_type"], undefined);
  });

  test("a server that cannot be reached, and one that is too slow, are failures", async () => {
    const nobody = wrap(new OpenAI({ ...options, baseURL: "http://127.0.0.1:9/v1" }));
    await assert.rejects(nobody.chat.completions.create(ASK));
    const [refused] = await recorded();
    assert.equal(refused!["error_type"], "APIConnectionError");
    const slow = wrap(new OpenAI({ ...options, timeout: 50, fetch: neverAnswers }));
    await assert.rejects(slow.chat.completions.create(ASK));
    const [late] = await recorded();
    assert.equal(late!["error_type"], "timeout");
  });

  test("a stream that its reader leaves is recorded, without a failure", async () => {
    const stream = await wrap(plain()).chat.completions.create({ ...ASK, stream: true });
    for await (const chunk of stream) {
      assert.equal(chunk.choices.length, 1);
      break;
    }
    const [event] = await recorded();
    assert.equal(event!["usage_source"], "missing");
    assert.equal(event!["error_type"], undefined);
    assert.equal(event!["response_model"], "gpt-4o-2024");
  });

  test("a stream that its reader aborts while it stands still is recorded", async () => {
    provider.standsStillAfter = 2;
    const stream = await wrap(plain()).chat.completions.create({ ...ASK, stream: true });
    setTimeout(() => stream.controller.abort(), 50);
    assert.ok((await read(stream)).length >= 1);
    provider.standsStillAfter = null;
    await door.waitFor(1, 5);
    const [event] = await recorded();
    assert.equal(event!["error_type"], undefined);
    assert.equal(event!["usage_source"], "missing");
  });

  test("a stream that breaks off throws the same, and is recorded as failed", async () => {
    provider.breaksAfter = 2;
    const fails = async (client: OpenAI) => {
      return read(await client.chat.completions.create({ ...ASK, stream: true }));
    };
    const expected = await fails(plain()).catch((error: Error) => error.message);
    assert.equal(await fails(wrap(plain())).catch((error: Error) => error.message), expected);
    provider.breaksAfter = null;
    const [event] = await recorded();
    assert.ok(event!["error_type"]);
    assert.equal(event!["usage_source"], "missing");
    assert.equal(event!["http_status_code"], 200);
  });

  test("an answer that nobody reads is recorded once it is gone", async () => {
    await wrap(plain())
      .chat.completions.create({ ...ASK, stream: true })
      .asResponse();
    await untilCollected(() => door.events.size > 0);
    const [event] = await recorded();
    assert.equal(event!["usage_source"], "missing");
  });

  test("a wrapped client's withOptions makes wrapped clients, and wrapping again is no harm", async () => {
    const client = wrap(wrap(plain()), { user_id: "ann" });
    assert.deepEqual(Object.keys(client).sort(), Object.keys(plain()).sort());
    await wrap(client.withOptions({ timeout: 1000 })).chat.completions.create(ASK);
    assert.equal((await recorded()).length, 1);
  });

  test("fields that a wrapper was told are on each event, and the context wins", async () => {
    const client = wrap(plain(), { user_id: "ann", tags: { a: "1" } });
    await context({ user_id: "bob", tags: { b: "2" } }, () => client.chat.completions.create(ASK));
    const [event] = await recorded();
    assert.equal(event!["user_id"], "bob");
    assert.deepEqual(event!["tags"], { a: "1", b: "2" });
  });

  test("instrument covers every client of a class until uninstrument", async () => {
    const before = plain();
    const original = Object.getPrototypeOf(before).makeRequest as unknown;
    instrument(OpenAI, AzureOpenAI);
    instrument(OpenAI);
    await before.chat.completions.create(ASK);
    await wrap(plain()).chat.completions.create(ASK);
    const azure = new AzureOpenAI({
      apiKey: "x",
      apiVersion: "2024-10-21",
      baseURL: `${provider.url}/openai`,
    });
    await read(await azure.chat.completions.create({ ...ASK, stream: true }));
    assert.equal((await recorded()).length, 3);
    assert.deepEqual(provider.asked.at(-1)!.body["stream_options"], { include_usage: true });
    uninstrument();
    assert.equal(Object.getPrototypeOf(before).makeRequest, original);
    await before.chat.completions.create(ASK);
    assert.equal((await recorded()).length, 0);
  });

  test("an old Azure, which refuses the field, is not asked for usage", async () => {
    const azure = wrap(
      new AzureOpenAI({ apiKey: "x", apiVersion: "2024-02-01", baseURL: `${provider.url}/openai` }),
    );
    await read(await azure.chat.completions.create({ ...ASK, stream: true }));
    assert.equal(provider.asked.at(-1)!.body["stream_options"], undefined);
    assert.equal((await recorded())[0]!["usage_source"], "missing");
  });

  test("groq's client is recorded as well", async () => {
    const groq = wrap(new Groq({ apiKey: "x", baseURL: provider.url }));
    await groq.chat.completions.create({ model: "llama", messages: MESSAGES });
    const [event] = await recorded();
    assert.equal(event!["input_tokens"], 12);
  });

  test("content is recorded where it is asked for, of streams the text", async () => {
    init({ apiKey: "k", url: door.url, spoolDirectory: "off", captureContent: true });
    const client = wrap(plain());
    await client.chat.completions.create(ASK);
    await read(await client.chat.completions.create({ ...ASK, stream: true }));
    const [whole, streamed] = await recorded();
    assert.deepEqual(whole!["input_messages"], MESSAGES);
    const said = (whole!["output_messages"] as { content: string }[])[0]!;
    assert.equal(said.content, '{"answer": 2}');
    const text = 'He said: ,"usage":null — ü';
    assert.deepEqual(streamed!["output_messages"], [{ role: "assistant", content: text }]);
  });
});

function neverAnswers(_url: unknown, init?: { signal?: AbortSignal | null }): Promise<Response> {
  return new Promise((_resolve, reject) => {
    init?.signal?.addEventListener("abort", () => reject(init.signal!.reason as Error));
  });
}
