/** A real HTTP server that answers as the providers do. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Json = Record<string, unknown>;

export const USAGE = {
  prompt_tokens: 12,
  completion_tokens: 5,
  total_tokens: 17,
  prompt_tokens_details: { cached_tokens: 4 },
};
const CHAT = { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "gpt-4o-2024" };
const CHUNK = { ...CHAT, object: "chat.completion.chunk" };
const RESPONSE = {
  id: "resp_1",
  object: "response",
  created_at: 1,
  model: "gpt-5",
  output: [],
  status: "completed",
  parallel_tool_calls: true,
  tool_choice: "auto",
  tools: [],
  usage: { input_tokens: 9, output_tokens: 3, total_tokens: 12 },
};
const MESSAGE = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-4",
  stop_reason: null,
  stop_sequence: null,
  content: [],
  usage: { input_tokens: 10, cache_read_input_tokens: 90, output_tokens: 1 },
};

/** What the server has been asked. */
export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Json;
}

/** Events, each cut in two where it suits nobody. */
type Events = readonly Buffer[];

export class Provider {
  readonly asked: Asked[] = [];
  /** How many of the next requests are refused with a status that clients retry. */
  refusals = 0;
  /** After how many events a stream breaks off, or stands still; null where it ends well. */
  breaksAfter: number | null = null;
  standsStillAfter: number | null = null;
  #server: Server | null = null;
  #port = 0;

  static async opened(): Promise<Provider> {
    const provider = new Provider();
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      void provider.#answer(request, response);
    };
    const server = createServer(answer);
    provider.#server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    provider.#port = (server.address() as AddressInfo).port;
    return provider;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Answers to the same question are to be the same.
    response.sendDate = false;
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = bodyOf(Buffer.concat(parts).toString());
    const path = request.url ?? "";
    this.asked.push({ path, headers: request.headers, body });
    if (this.refusals > 0) {
      this.refusals -= 1;
      send(response, 429, { error: { message: "Slow down.", type: "rate_limit" } });
    } else if (body["model"] === "unknown" || path.includes("unknown")) {
      send(response, 404, { error: { message: "No such model.", type: "not_found" } });
    } else if (body["stream"] || /:stream|alt=sse/.test(path)) {
      await this.#stream(response, streamOf(path, body));
    } else {
      send(response, 200, answerOf(path, body));
    }
  }

  async #stream(response: ServerResponse, events: Events): Promise<void> {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const [number, event] of events.entries()) {
      if (this.breaksAfter === number) {
        response.destroy();
        return;
      }
      if (this.standsStillAfter === number) return;
      const middle = Math.floor(event.length / 2);
      for (const half of [event.subarray(0, middle), event.subarray(middle)]) {
        response.write(half);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    response.end();
  }
}

function bodyOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    // A form, as of a transcription.
    return {};
  }
}

function send(response: ServerResponse, status: number, document: unknown): void {
  const headers = {
    "content-type": "application/json",
    "x-request-id": "req_1",
    "retry-after": "0",
  };
  response.writeHead(status, headers).end(JSON.stringify(document));
}

function answerOf(path: string, body: Json): unknown {
  const ending = path.replace(/[?].*$/, "");
  if (ending.endsWith("/embeddings") || ending.endsWith("/embed")) return embeddings(ending);
  if (ending.endsWith("/responses")) return RESPONSE;
  if (ending.endsWith("/images/generations")) {
    const usage = { input_tokens: 50, output_tokens: 4160, total_tokens: 4210 };
    return { created: 1, data: [{ b64_json: "AA==" }], usage };
  }
  if (ending.endsWith("/audio/transcriptions")) {
    return { text: "Hi", usage: { type: "tokens", input_tokens: 14, output_tokens: 45 } };
  }
  if (ending.endsWith("/v1/messages")) {
    return { ...MESSAGE, content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn" };
  }
  if (ending.includes(":generateContent")) return gemini("Hi", true);
  if (ending.endsWith("/chat")) return COHERE;
  if (ending.endsWith("/rerank")) {
    return {
      id: "r1",
      results: [{ index: 0, relevance_score: 0.5 }],
      meta: { billed_units: { search_units: 1 } },
    };
  }
  const isCompletion = ending.endsWith("/completions") && !ending.endsWith("/chat/completions");
  const message = { role: "assistant", content: '{"answer": 2}', refusal: null };
  const said = isCompletion ? { text: "Hi" } : { message };
  const choice = { index: 0, ...said, finish_reason: "stop", logprobs: null };
  const model = typeof body["model"] === "string" ? { ...CHAT } : CHAT;
  return { ...model, choices: [choice], usage: USAGE };
}

function embeddings(path: string): unknown {
  if (path.endsWith("/embed")) {
    const meta = { billed_units: { input_tokens: 8 } };
    return { id: "e1", embeddings: { float: [[0.5]] }, texts: ["Hi"], meta };
  }
  const data = [{ object: "embedding", index: 0, embedding: [0.5] }];
  return {
    object: "list",
    id: "e",
    model: "embed-1",
    data,
    usage: { prompt_tokens: 8, total_tokens: 8 },
  };
}

const COHERE = {
  id: "c1",
  finish_reason: "COMPLETE",
  message: { role: "assistant", content: [{ type: "text", text: "Hi" }] },
  usage: {
    billed_units: { input_tokens: 7, output_tokens: 2 },
    tokens: { input_tokens: 70, output_tokens: 2 },
  },
};

function gemini(text: string, isLast: boolean): Json {
  const candidate = { content: { role: "model", parts: [{ text }] }, index: 0 };
  return {
    responseId: "g1",
    modelVersion: "gemini-2.5-flash-001",
    candidates: [isLast ? { ...candidate, finishReason: "STOP" } : candidate],
    usageMetadata: isLast
      ? {
          promptTokenCount: 10,
          candidatesTokenCount: 4,
          thoughtsTokenCount: 6,
          totalTokenCount: 20,
        }
      : { promptTokenCount: 10, totalTokenCount: 10 },
  };
}

function streamOf(path: string, body: Json): Events {
  if (path.includes("/v1/messages")) return claudeEvents();
  if (path.includes("/responses")) return responseEvents();
  if (path.includes(":streamGenerateContent")) {
    return [gemini("H", false), gemini("i", true)].map((one) => event(one));
  }
  if (path.endsWith("/chat")) return cohereEvents();
  return chunks(body);
}

function event(data: unknown, name = ""): Buffer {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return Buffer.from(`${name ? `event: ${name}\n` : ""}data: ${text}\n\n`);
}

/** What OpenAI streams, with usage only where it is asked for. */
function chunks(body: Json): Events {
  const options = body["stream_options"] as { include_usage?: boolean } | undefined;
  const asks = options?.include_usage;
  const usage = asks ? { usage: null } : {};
  const delta = (text: Json, finish_reason: string | null = null) => {
    return { ...CHUNK, choices: [{ index: 0, delta: text, finish_reason }], ...usage };
  };
  const texts = [
    delta({ role: "assistant", content: "" }),
    delta({ content: 'He said: ,"usage":null — ü' }),
    delta({}, "stop"),
  ];
  const last = asks ? [event({ ...CHUNK, choices: [], usage: USAGE })] : [];
  return [...texts.map((text) => event(text)), ...last, event("[DONE]")];
}

function responseEvents(): Events {
  const started = { ...RESPONSE, status: "in_progress", usage: null };
  return [
    { type: "response.created", sequence_number: 0, response: started },
    { type: "response.completed", sequence_number: 1, response: RESPONSE },
  ].map((one) => event(one, one.type));
}

/** What Anthropic streams. */
function claudeEvents(): Events {
  const delta = { stop_reason: "end_turn", stop_sequence: null };
  const events: (Json & { type: string })[] = [
    { type: "message_start", message: MESSAGE },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta, usage: { output_tokens: 25 } },
    { type: "message_stop" },
  ];
  return events.map((one) => event(one, one.type));
}

function cohereEvents(): Events {
  const { finish_reason, usage } = COHERE;
  const content = { type: "text", text: "Hi" };
  const events: (Json & { type: string })[] = [
    { type: "message-start", id: "c1", delta: { message: { role: "assistant", content: [] } } },
    {
      type: "content-start",
      index: 0,
      delta: { message: { content: { type: "text", text: "" } } },
    },
    { type: "content-delta", index: 0, delta: { message: { content } } },
    { type: "content-end", index: 0 },
    { type: "message-end", delta: { finish_reason, usage } },
  ];
  return events.map((one) => event(one, one.type));
}
