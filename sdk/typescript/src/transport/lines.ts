/** Pure: events -> lines of JSON -> bodies of requests. */
import { wordsOf } from "../errors.js";
import { byteLength, encode, type Event } from "../events.js";
import type { Redact } from "../options.js";

/** One event, encoded; `size` is in bytes. */
export interface Line {
  readonly eventId: string;
  readonly text: string;
  readonly size: number;
}

/** An event that cannot become a line; `reason` is that of the loss. */
export class UnsendableError extends Error {
  constructor(
    readonly reason: "redaction_failed" | "unencodable",
    detail: string,
  ) {
    super(detail);
  }
}

/**
 * The line of an event, null where the redaction wants none.
 *
 * @throws UnsendableError the redaction failed, so that nothing may leave; or it is no JSON.
 */
export function lineOf(event: Event, redact: Redact | null): Line | null {
  // Its identity is how a retry stays one row.
  const eventId = event.event_id;
  const kept = redact ? redacted(event, redact) : event;
  if (!kept) return null;
  try {
    const text = encode(redact ? { ...kept, event_id: eventId } : kept);
    return { eventId, text, size: byteLength(text) };
  } catch (error) {
    throw new UnsendableError("unencodable", wordsOf(error));
  }
}

function redacted(event: Event, redact: Redact) {
  try {
    return redact(event);
  } catch (error) {
    throw new UnsendableError("redaction_failed", wordsOf(error));
  }
}

/**
 * What a segment of the spool holds, and how many of its lines are no events.
 *
 * The last line is skipped where its end is missing: its writer died before it was on disk.
 */
export function readLines(data: string): { lines: Line[]; damagedCount: number } {
  const texts = data.split("\n").slice(0, -1);
  const lines = texts.map(readLine).filter((line) => line !== null);
  return { lines, damagedCount: texts.length - lines.length };
}

function readLine(text: string): Line | null {
  try {
    const { event_id: eventId } = JSON.parse(text) as { event_id?: unknown };
    return typeof eventId === "string" ? { eventId, text, size: byteLength(text) } : null;
  } catch {
    return null;
  }
}

/** Cut into requests; a line that is larger than `maxBytes` goes alone. */
export function batches(lines: readonly Line[], maxEvents: number, maxBytes: number): Line[][] {
  const found: Line[][] = [];
  let batch: Line[] = [];
  let size = 2;
  for (const line of lines) {
    if (batch.length && (batch.length === maxEvents || size + line.size + 1 > maxBytes)) {
      found.push(batch);
      batch = [];
      size = 2;
    }
    batch.push(line);
    size += line.size + 1;
  }
  if (batch.length) found.push(batch);
  return found;
}

/** A JSON array. */
export function bodyOf(batch: readonly Line[]): string {
  return `[${batch.map((line) => line.text).join(",")}]`;
}

/** As a spool keeps it. */
export function dataOf(lines: readonly Line[]): string {
  return lines.map((line) => `${line.text}\n`).join("");
}
