/**
 * Pure: the fields of a call -> an event that the contract takes.
 *
 * What is too long is cut and what is too large left out: an event that says a little less is worth
 * more than one that is rejected. `sdk/contract/event.schema.json` holds the limits; a test
 * compares.
 */
import { VERSION } from "./version.js";

export const MAX_TAGS = 32;
export const MAX_TAG_KEY_CHARACTERS = 64;
export const MAX_TAG_VALUE_CHARACTERS = 256;
export const MAX_FINISH_REASONS = 32;
export const MAX_LABEL_CHARACTERS = 128;
const MAX_USAGE_DETAILS_BYTES = 16 * 1024;
const MAX_MESSAGES_BYTES = 2 ** 20;

type Maybe<Value> = Value | null | undefined;
export type UsageSource = "provider" | "estimated" | "missing";
export type ServiceTier = "batch" | "default" | "flex" | "priority";

/** The fields of an event, by the names that they have in the ledger: docs/events.md. */
export interface EventFields {
  provider_name?: Maybe<string>;
  started_at?: Maybe<string | Date>;
  request_model?: Maybe<string>;
  response_model?: Maybe<string>;
  event_id?: Maybe<string>;
  operation_name?: Maybe<string>;
  ended_at?: Maybe<string | Date>;
  duration_seconds?: Maybe<number>;
  time_to_first_chunk_seconds?: Maybe<number>;
  is_stream?: Maybe<boolean>;
  input_tokens?: Maybe<number>;
  output_tokens?: Maybe<number>;
  cache_read_input_tokens?: Maybe<number>;
  cache_write_input_tokens?: Maybe<number>;
  cache_write_1h_input_tokens?: Maybe<number>;
  reasoning_output_tokens?: Maybe<number>;
  input_audio_tokens?: Maybe<number>;
  output_audio_tokens?: Maybe<number>;
  input_image_tokens?: Maybe<number>;
  usage_details?: Maybe<Readonly<Record<string, unknown>>>;
  usage_source?: Maybe<UsageSource>;
  usage_semantics?: Maybe<"inclusive" | "cache_exclusive">;
  service_tier?: Maybe<ServiceTier>;
  response_id?: Maybe<string>;
  response_finish_reasons?: Maybe<readonly string[]>;
  error_type?: Maybe<string>;
  error_message?: Maybe<string>;
  http_status_code?: Maybe<number>;
  user_id?: Maybe<string>;
  conversation_id?: Maybe<string>;
  trace_id?: Maybe<string>;
  span_id?: Maybe<string>;
  parent_span_id?: Maybe<string>;
  environment?: Maybe<string>;
  service_name?: Maybe<string>;
  tags?: Maybe<Readonly<Record<string, string>>>;
  reported_cost_usd?: Maybe<string | number>;
  input_messages?: Maybe<readonly unknown[]>;
  output_messages?: Maybe<readonly unknown[]>;
  sdk_name?: Maybe<string>;
  sdk_version?: Maybe<string>;
}

/** A whole event: identity, origin and time are set. */
export interface Event extends EventFields {
  provider_name: string;
  event_id: string;
  started_at: string;
}

export const MAX_CHARACTERS: Readonly<Record<string, number>> = {
  provider_name: 128,
  request_model: 256,
  response_model: 256,
  operation_name: 128,
  response_id: 256,
  error_type: 128,
  error_message: 2000,
  user_id: 256,
  conversation_id: 256,
  trace_id: 256,
  span_id: 256,
  parent_span_id: 256,
  environment: 128,
  service_name: 128,
  sdk_name: 128,
  sdk_version: 128,
};
const MAX_BYTES: Readonly<Record<string, number>> = {
  usage_details: MAX_USAGE_DETAILS_BYTES,
  input_messages: MAX_MESSAGES_BYTES,
  output_messages: MAX_MESSAGES_BYTES,
};
const OTHERS: readonly (keyof EventFields)[] = [
  "started_at",
  "event_id",
  "ended_at",
  "duration_seconds",
  "time_to_first_chunk_seconds",
  "is_stream",
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_write_input_tokens",
  "cache_write_1h_input_tokens",
  "reasoning_output_tokens",
  "input_audio_tokens",
  "output_audio_tokens",
  "input_image_tokens",
  "usage_details",
  "usage_source",
  "usage_semantics",
  "service_tier",
  "response_finish_reasons",
  "http_status_code",
  "tags",
  "reported_cost_usd",
  "input_messages",
  "output_messages",
];
export const FIELDS: ReadonlySet<string> = new Set([...Object.keys(MAX_CHARACTERS), ...OTHERS]);

// What Postgres cannot store, and halves of surrogate pairs, as `JSON.stringify` escapes them.
const UNSTORABLE = /(?<!\\)((?:\\\\)*)\\u(0000|d[89a-f][0-9a-f]{2})/g;

/** The values are no event. */
export class InvalidEventError extends Error {}

/** A UUIDv7 (RFC 9562): ordered by time, so that the ledger's inserts stay local. */
export function newEventId(): string {
  const time = Date.now().toString(16).padStart(12, "0");
  const first = random();
  const version = (0x7000 | (first & 0x0fff)).toString(16);
  const variant = (0x8000 | ((first >>> 12) & 0x3fff)).toString(16);
  const rest = hex(random()) + hex(random()).slice(4);
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${rest}`;
}

// Asking for 32 bits takes the system as long as asking for many.
const randoms = new Uint32Array(384);
let usedRandoms = randoms.length;

function random(): number {
  if (usedRandoms === randoms.length) {
    crypto.getRandomValues(randoms);
    usedRandoms = 0;
  }
  return randoms[usedRandoms++]!;
}

function hex(number: number): string {
  return number.toString(16).padStart(8, "0");
}

/** RFC 3339 in UTC of milliseconds since 1970. */
export function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/**
 * The event of fields, those that win first: null left out, limits kept, identity and origin added.
 *
 * @throws InvalidEventError a value belongs to no field, or a required one is missing.
 */
export function finished(...layers: readonly EventFields[]): Event {
  const event: Record<string, unknown> = {};
  for (const layer of layers) addFields(event, layer);
  if (!("provider_name" in event) || !("request_model" in event || "response_model" in event)) {
    throw new InvalidEventError(
      "an event needs provider_name, and request_model or response_model",
    );
  }
  event["event_id"] ??= newEventId();
  event["started_at"] ??= timestamp(Date.now());
  event["sdk_name"] ??= "llmscope-typescript";
  event["sdk_version"] ??= VERSION;
  return event as unknown as Event;
}

function addFields(event: Record<string, unknown>, fields: EventFields): void {
  for (const name in fields) {
    const value = fields[name as keyof EventFields];
    if (value === undefined || value === null || value === "") continue;
    if (!FIELDS.has(name)) throw new InvalidEventError(`no field of an event: ${name}; use tags`);
    if (event[name] !== undefined && name !== "tags") continue;
    const isPlain = typeof value === "number" || typeof value === "boolean";
    const fitting = isPlain ? value : fit(name, value);
    if (name === "tags") event[name] = joinedTags(fitting, event[name]);
    else if (fitting !== undefined) event[name] = fitting;
  }
}

function joinedTags(outer: unknown, inner: unknown): Record<string, string> | undefined {
  return inner
    ? fitTags({ ...(outer as object), ...(inner as object) })
    : (outer as Record<string, string>);
}

function fit(name: string, value: unknown): unknown {
  const maxCharacters = MAX_CHARACTERS[name];
  if (maxCharacters !== undefined) return text(value, maxCharacters);
  const maxBytes = MAX_BYTES[name];
  if (maxBytes !== undefined) return plainCopy(value, maxBytes);
  if (name === "tags") return fitTags(value);
  if (name === "response_finish_reasons" && Array.isArray(value)) {
    return value.slice(0, MAX_FINISH_REASONS).map((one) => text(one, MAX_LABEL_CHARACTERS));
  }
  if (value instanceof Date) return value.toISOString();
  return String(value);
}

/** Tags as the contract takes them; undefined where there are none. */
function fitTags(tags: unknown): Record<string, string> | undefined {
  const fitting = Object.entries(tags ?? {})
    .filter(([key, value]) => key !== "" && value !== null && value !== undefined)
    .map(([key, value]) => [
      text(key, MAX_TAG_KEY_CHARACTERS),
      text(value, MAX_TAG_VALUE_CHARACTERS),
    ])
    .slice(0, MAX_TAGS);
  return fitting.length ? Object.fromEntries(fitting) : undefined;
}

function text(value: unknown, maxCharacters: number): string {
  const cut = String(value).slice(0, maxCharacters);
  return cut.includes("\0") ? cut.replaceAll("\0", "") : cut;
}

/** Plain JSON that nobody can change later, undefined where it is too large or none. */
function plainCopy(value: unknown, maxBytes: number): unknown {
  try {
    const encoded = encode(value);
    return byteLength(encoded) <= maxBytes ? JSON.parse(encoded) : undefined;
  } catch {
    return undefined;
  }
}

const ENCODER = new TextEncoder();

/** In UTF-8. */
export function byteLength(value: string): number {
  return ENCODER.encode(value).byteLength;
}

/**
 * JSON on one line, without what Postgres cannot store.
 *
 * @throws TypeError it holds itself, or a bigint.
 */
export function encode(value: unknown): string {
  const encoded = JSON.stringify(value);
  if (encoded === undefined) throw new TypeError("it is no JSON");
  if (!encoded.includes("\\u")) return encoded;
  return encoded.replace(UNSTORABLE, (_all, before: string, code: string) =>
    code === "0000" ? before : `${before}?`,
  );
}
