/** They see the bytes of an answer on their way to the caller. */
import { guarded } from "../guard.js";
import { cutterOf, joined, type Cutter, type StreamedEvent } from "../providers/events.js";
import type { StreamReader } from "../providers/apis.js";
import { listAt, type Json } from "../providers/reading.js";
import { firstObject, parsed, type Observation } from "./observation.js";

const NOTHING = new Uint8Array();
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();
// An answer with more is a file, not a completion.
const MAX_BODY_CHARACTERS = 8 * 2 ** 20;

/** Who is shown the bytes; none of its methods throws. */
export interface Observer {
  /** What the caller gets of a chunk. */
  feed(chunk: Uint8Array): Uint8Array;
  /** What the caller gets when no more bytes come. */
  rest(): Uint8Array;
  /** No more bytes come. */
  end(error?: unknown): void;
  /** The library has read the whole answer at once, as this text or document. */
  whole?(document: unknown): void;
}

/** Sees a streamed answer and hands on the bytes that the caller is to see. */
export class StreamObserver implements Observer {
  readonly #reader: StreamReader;
  readonly #cutter: Cutter;
  #isBroken = false;

  /**
   * @param hidesUsage Whether usage was asked for on our own account: the chunk that carries nothing
   *   else is kept back, and the `null` that announces it is cut out.
   */
  constructor(
    readonly observation: Observation,
    contentType: string,
    readonly hidesUsage: boolean,
  ) {
    this.#reader = new observation.api.stream();
    this.#cutter = cutterOf(contentType);
  }

  feed(chunk: Uint8Array): Uint8Array {
    if (this.#isBroken) return chunk;
    this.observation.firstChunk();
    const before = this.#cutter.rest;
    const shown = guarded(() => this.#shown(chunk));
    if (shown) return shown;
    this.#isBroken = true;
    return this.hidesUsage ? joined(before, chunk) : chunk;
  }

  rest(): Uint8Array {
    return this.hidesUsage && !this.#isBroken ? this.#cutter.rest : NOTHING;
  }

  end(error?: unknown): void {
    guarded(() => {
      const hasAny = Object.keys(this.#reader.response).length > 0;
      const response = hasAny ? this.#reader.response : undefined;
      this.observation.answer(response, this.#reader.isFinal);
    });
    this.observation.end(error);
  }

  #shown(chunk: Uint8Array): Uint8Array {
    const events = this.#cutter.feed(chunk);
    const kept = events.filter((event) => !this.#isHidden(this.#read(event)));
    // Some readers stop here, and never ask for the end.
    if (events.at(-1)?.data === "[DONE]") this.end();
    return this.hidesUsage ? joined(...kept.map(withoutNullUsage)) : chunk;
  }

  #read(event: StreamedEvent): Json {
    if (!event.data.startsWith("{")) return {};
    const data = JSON.parse(event.data) as Json;
    this.#reader.add(event.name, data);
    return data;
  }

  /** A chunk without choices that carries nothing but the usage. */
  #isHidden(data: Json): boolean {
    const isPlain = !data["prompt_filter_results"] && !data["error"];
    const hasNoChoice = listAt(data, "choices")?.length === 0;
    return this.hidesUsage && Boolean(data["usage"]) && hasNoChoice && isPlain;
  }
}

/** Inside of a JSON text the quotes would be escaped, so nothing but the member matches. */
function withoutNullUsage({ raw }: StreamedEvent): Uint8Array {
  const text = DECODER.decode(raw);
  const found = /,\s*"usage":\s*null|"usage":\s*null\s*,\s*/.exec(text);
  if (!found) return raw;
  return ENCODER.encode(text.slice(0, found.index) + text.slice(found.index + found[0].length));
}

/** Sees an answer that is whole, and changes nothing. */
export class BodyObserver implements Observer {
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(
    readonly observation: Observation,
    readonly status: number,
  ) {}

  feed(chunk: Uint8Array): Uint8Array {
    if (this.#text.length <= MAX_BODY_CHARACTERS) {
      this.#text += this.#decoder.decode(chunk, { stream: true });
    }
    return chunk;
  }

  rest(): Uint8Array {
    return NOTHING;
  }

  whole(document: unknown): void {
    guarded(() => {
      const isText = typeof document === "string";
      if (this.status >= 400) {
        this.observation.refuse(this.status, isText ? document : JSON.stringify(document));
      } else {
        this.observation.answer(isText ? parsed(document) : firstObject(document));
      }
    });
    this.observation.end();
  }

  end(error?: unknown): void {
    guarded(() => {
      if (this.status >= 400) this.observation.refuse(this.status, this.#text);
      else this.observation.answer(parsed(this.#text));
    });
    this.observation.end(error);
  }
}
