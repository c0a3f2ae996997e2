/**
 * Watches the bytes of an HTTP response on their way to whoever reads them.
 *
 * The response stays the object it is: only what hands out its bytes is covered, for this instance
 * alone. Nothing is read before the caller reads, and no faster.
 */
import { isAbort } from "../failures.js";
import { guarded } from "../guard.js";
import type { Observer } from "./observers.js";

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;
type Reading = "arrayBuffer" | "blob" | "bytes" | "formData" | "json" | "text";
const READINGS: readonly Reading[] = ["arrayBuffer", "blob", "bytes", "formData", "json", "text"];

// Answers that are dropped unread were abandoned, and nothing else says so.
const abandoned = new FinalizationRegistry<Observer>((observer) => observer.end());

/** Show `observer` the bytes of an unread response, and its end, however it comes. */
export function watch(response: Response, observer: Observer): void {
  if (!response.body || typeof response.body.getReader !== "function") {
    observer.end();
    return;
  }
  abandoned.register(response, observer, observer);
  watchedOf.set(response, new Watched(response, observer));
  const original = Object.getPrototypeOf(response) as object;
  Object.setPrototypeOf(response, coverOf(original));
}

const watchedOf = new WeakMap<Response, Watched>();
const covers = new WeakMap<object, object>();

/** A prototype before `original` that hands out the bytes; setting members of each takes longer. */
function coverOf(original: object): object {
  let cover = covers.get(original);
  if (!cover) {
    cover = Object.create(original, COVER) as object;
    covers.set(original, cover);
  }
  return cover;
}

const COVER: PropertyDescriptorMap = {
  body: {
    get(this: Response) {
      return watchedOf.get(this)?.body();
    },
  },
  clone: {
    value(this: Response) {
      return watchedOf.get(this)?.clone();
    },
  },
  ...Object.fromEntries(
    READINGS.filter((name) => name in Response.prototype).map((name) => [name, reader(name)]),
  ),
};

function reader(reading: Reading): PropertyDescriptor {
  return {
    value(this: Response) {
      return watchedOf.get(this)?.read(reading);
    },
  };
}

class Watched {
  readonly #original: Bytes;
  readonly #methods: Reader;
  #body: Bytes | null = null;

  constructor(
    readonly response: Response,
    readonly observer: Observer,
  ) {
    this.#original = response.body as Bytes;
    this.#methods = Object.getPrototypeOf(response) as Reader;
  }

  /** The same stream each time it is asked for. */
  body(): Bytes {
    if (!this.#body) {
      this.#body = observed(this.#original, this.observer);
      // It may outlive its response.
      abandoned.unregister(this.observer);
      abandoned.register(this.#body, this.observer, this.observer);
    }
    return this.#body;
  }

  clone(): Response {
    const [ours, theirs] = this.body().tee() as [Bytes, Bytes];
    this.#body = ours;
    return copyOf(this.response, theirs);
  }

  async read(reading: Reading): Promise<unknown> {
    const isWhole = this.observer.whole && !this.#body && /^(json|text)$/.test(reading);
    if (!isWhole) return (copyOf(this.response, this.body()) as never as Reader)[reading]();
    try {
      const found = await this.#methods[reading].call(this.response);
      this.#settle(() => this.observer.whole?.(found));
      return found;
    } catch (error) {
      this.#settle(() => this.observer.end(error));
      throw error;
    }
  }

  #settle(step: () => void): void {
    abandoned.unregister(this.observer);
    guarded(step);
  }
}

type Reader = Record<Reading, () => Promise<unknown>>;

function copyOf(response: Response, body: Bytes): Response {
  const { status, statusText, headers } = response;
  const copy = new Response(body, { status, statusText, headers });
  for (const name of ["url", "redirected", "type"] as const) {
    Object.defineProperty(copy, name, { value: response[name] });
  }
  return copy;
}

/** The bytes that `observer` hands on, read as they are asked for. */
function observed(source: Bytes, observer: Observer): Bytes {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const end = (error?: unknown) => {
    abandoned.unregister(observer);
    observer.end(error);
  };
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      reader ??= source.getReader();
      try {
        await handOn(reader, controller, observer, end);
      } catch (error) {
        // Who ends the request while the answer comes in has left it, and that is no failure.
        end(isAbort(error) ? undefined : error);
        throw error;
      }
    },
    async cancel(reason) {
      end();
      await (reader ?? source).cancel(reason);
    },
  });
}

async function handOn(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  controller: ReadableByteStreamController,
  observer: Observer,
  end: () => void,
): Promise<void> {
  for (;;) {
    const { done, value } = await reader.read();
    const shown = done ? observer.rest() : observer.feed(value);
    // What is handed on is taken from its owner, who may still need what lies beside it.
    if (shown.byteLength) controller.enqueue(shown.slice());
    if (done) {
      controller.close();
      controller.byobRequest?.respond(0);
      end();
      return;
    }
    if (shown.byteLength) return;
  }
}
