/** Events of a stream, cut out of bytes as they come: server-sent ones, and lines of JSON. */

// Beyond, a stream is no stream of events.
const MAX_EVENT_BYTES = 32 * 2 ** 20;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const DECODER = new TextDecoder();

/** One event; `raw` are its bytes, with the empty line that ends it. */
export interface StreamedEvent {
  readonly name: string;
  readonly data: string;
  readonly raw: Uint8Array;
}

/** Keeps the bytes of an event that has not ended yet. */
export interface Cutter {
  readonly rest: Uint8Array;
  /** The events that `chunk` ends. */
  feed(chunk: Uint8Array): StreamedEvent[];
}

/** How events are cut out of an answer of that type. */
export function cutterOf(contentType: string): Cutter {
  return /stream\+json|ndjson|jsonl/.test(contentType) ? new LineCutter() : new EventCutter();
}

/** Server-sent events. */
export class EventCutter implements Cutter {
  rest = new Uint8Array();

  feed(chunk: Uint8Array): StreamedEvent[] {
    const data = joined(this.rest, chunk);
    const events: StreamedEvent[] = [];
    let start = 0;
    // An end may lie across the border of two chunks.
    let at = Math.max(this.rest.length - 3, 0);
    for (; at < data.length; at += 1) {
      const size = endAt(data, at);
      if (!size) continue;
      events.push(eventOf(data.subarray(start, at + size)));
      start = at + size;
      at = start - 1;
    }
    this.rest = bounded(data.slice(start));
    return events;
  }
}

/** JSON, one event a line. */
export class LineCutter implements Cutter {
  rest = new Uint8Array();

  feed(chunk: Uint8Array): StreamedEvent[] {
    const data = joined(this.rest, chunk);
    const events: StreamedEvent[] = [];
    let start = 0;
    for (let end = data.indexOf(LINE_FEED); end >= 0; end = data.indexOf(LINE_FEED, start)) {
      const raw = data.subarray(start, end + 1);
      const line = DECODER.decode(raw).trim();
      if (line) events.push({ name: "", data: line, raw });
      start = end + 1;
    }
    this.rest = bounded(data.slice(start));
    return events;
  }
}

/** The size of the empty line that ends an event at `at`, 0 where there is none. */
function endAt(data: Uint8Array, at: number): number {
  const first = data[at];
  if (first !== LINE_FEED && first !== CARRIAGE_RETURN) return 0;
  const second = data[at + 1];
  if (first === second) return 2;
  const isCrLf = first === CARRIAGE_RETURN && second === LINE_FEED;
  return isCrLf && data[at + 2] === CARRIAGE_RETURN && data[at + 3] === LINE_FEED ? 4 : 0;
}

function eventOf(raw: Uint8Array): StreamedEvent {
  let name = "";
  const data: string[] = [];
  for (const line of DECODER.decode(raw).split(/\r\n|\n|\r/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "data") data.push(value ?? "");
    else if (field === "event") name = value ?? "";
  }
  return { name, data: data.join("\n"), raw };
}

/** Several pieces as one. */
export function joined(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function bounded<Bytes extends Uint8Array>(rest: Bytes): Bytes {
  if (rest.length > MAX_EVENT_BYTES) throw new RangeError("an event of a stream is too long");
  return rest;
}
