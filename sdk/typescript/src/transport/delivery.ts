/** One attempt to hand a body to the server. */
import { wordsOf } from "../errors.js";
import type { Options } from "../options.js";
import { VERSION } from "../version.js";
import type { Answer } from "./verdicts.js";

const BATCH_PATH = "/api/v1/events/ingest/batch";
// Below, the header of gzip and the time to pack cost more than the bytes saved.
const MIN_GZIP_CHARACTERS = 1024;
// Browsers let requests of this size in all outlive their page (Fetch standard, 64 KiB).
const MAX_KEEPALIVE_BYTES = 60_000;

type Post = typeof fetch;

/** One at a time: the sender alone uses it. */
export class Delivery {
  readonly #url: string;
  #ending = new AbortController();
  #token: string | null = null;

  constructor(
    readonly options: Options,
    readonly outlivesPage: boolean,
    readonly post: Post = globalThis.fetch,
  ) {
    this.#url = options.url.replace(/\/+$/, "") + BATCH_PATH;
  }

  /** Send once; every trouble of the network is an answer without a status. */
  async send(body: string): Promise<Answer> {
    try {
      const answer = await this.#attempt(body);
      if (answer.status !== 401 || !this.options.getToken) return answer;
      // Tokens are short-lived: a new one may do.
      this.#token = null;
      return await this.#attempt(body);
    } catch (error) {
      return { status: null, failure: failureOf(error) };
    }
  }

  /** Give up what is under way; what comes later is tried as ever. */
  interrupt(): void {
    this.#ending.abort(new Error("the program ends"));
    this.#ending = new AbortController();
  }

  async #attempt(text: string): Promise<Answer> {
    const headers: Record<string, string> = {
      Authorization: `Bearer ${await this.#credentials()}`,
      "Content-Type": "application/json",
    };
    // Browsers set their own, and ask the server's leave for another.
    if (!this.outlivesPage) headers["User-Agent"] = `llmscope-typescript/${VERSION}`;
    let body: BodyInit = text;
    if (text.length >= MIN_GZIP_CHARACTERS && typeof CompressionStream === "function") {
      body = await gzipped(text);
      headers["Content-Encoding"] = "gzip";
    }
    return this.#exchange(headers, body);
  }

  async #exchange(headers: Record<string, string>, body: BodyInit): Promise<Answer> {
    const size = typeof body === "string" ? body.length * 3 : (body as ArrayBuffer).byteLength;
    const deadline = deadlineOf(this.#ending.signal, this.options.timeoutSeconds);
    try {
      const response = await this.post.call(globalThis, this.#url, {
        method: "POST",
        headers,
        body,
        // The key would follow it.
        redirect: "manual",
        signal: deadline.signal,
        ...(this.outlivesPage && size <= MAX_KEEPALIVE_BYTES ? { keepalive: true } : {}),
      });
      const retryAfter = response.headers.get("retry-after");
      // Browsers hide the status of a redirect.
      const status = response.type === "opaqueredirect" ? 301 : response.status;
      return { status, body: await response.text(), retryAfter };
    } finally {
      deadline.end();
    }
  }

  async #credentials(): Promise<string> {
    if (!this.options.getToken) return this.options.apiKey;
    this.#token ??= await this.options.getToken();
    return this.#token;
  }
}

async function gzipped(text: string): Promise<ArrayBuffer> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(packed).arrayBuffer();
}

/** A signal for one request; `AbortSignal.any` is missing in Node before 20.3. */
function deadlineOf(ending: AbortSignal, seconds: number) {
  const controller = new AbortController();
  const stop = () => controller.abort(ending.reason);
  const timer = setTimeout(
    () => controller.abort(new DOMException("no answer in time", "TimeoutError")),
    seconds * 1000,
  );
  if (ending.aborted) stop();
  ending.addEventListener("abort", stop);
  const end = () => {
    clearTimeout(timer);
    ending.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, end };
}

/** `fetch` hides what happened behind "fetch failed". */
function failureOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? `${wordsOf(error)} (${wordsOf(cause)})` : wordsOf(error);
}
