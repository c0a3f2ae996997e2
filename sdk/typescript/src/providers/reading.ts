/** Reads JSON that somebody else wrote: what is not there, or no number, is undefined. */
import type { EventFields, ServiceTier } from "../events.js";

export type Json = Readonly<Record<string, unknown>>;

const MAX_TOKENS = 1_000_000_000;
// Price classes by the names that providers give them; `auto` and others say nothing.
const TIERS: Readonly<Record<string, ServiceTier>> = {
  batch: "batch",
  default: "default",
  flex: "flex",
  on_demand: "default",
  priority: "priority",
  standard: "default",
};

/** An object, undefined where it is none. */
export function objectOf(value: unknown): Json | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Json) : undefined;
}

/** What lies at a path of members. */
export function at(json: unknown, ...path: readonly string[]): unknown {
  let found = json;
  for (const name of path) found = objectOf(found)?.[name];
  return found;
}

/** A number of tokens. */
export function countAt(json: unknown, ...path: readonly string[]): number | undefined {
  const count = at(json, ...path);
  const isCount = Number.isInteger(count) && Number(count) >= 0 && Number(count) <= MAX_TOKENS;
  return isCount ? Number(count) : undefined;
}

/** The first of several places that holds a number of tokens. */
export function firstCount(
  json: unknown,
  ...paths: readonly (readonly string[])[]
): number | undefined {
  for (const path of paths) {
    const count = countAt(json, ...path);
    if (count !== undefined) return count;
  }
  return undefined;
}

/** A text that is not empty. */
export function textAt(json: unknown, ...path: readonly string[]): string | undefined {
  const value = at(json, ...path);
  return typeof value === "string" && value ? value : undefined;
}

/** The objects of a list. */
export function objectsAt(json: unknown, name: string): Json[] {
  const value = at(json, name);
  return Array.isArray(value) ? value.filter((item) => objectOf(item) !== undefined) : [];
}

/** A list, undefined where it is none. */
export function listAt(json: unknown, name: string): readonly unknown[] | undefined {
  const value = at(json, name);
  return Array.isArray(value) ? value : undefined;
}

/** A list of named counts, added up by name. */
export function countsBy(json: unknown, lists: readonly string[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const entry of lists.flatMap((list) => objectsAt(json, list))) {
    const name = textAt(entry, "modality");
    const count = countAt(entry, "tokenCount");
    if (name && count !== undefined) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return sums;
}

/** The price class, where it is known. */
export function tierOf(name: unknown): ServiceTier | undefined {
  return typeof name === "string" && Object.hasOwn(TIERS, name) ? TIERS[name] : undefined;
}

/** Texts that are there; undefined where none is. */
export function present(texts: readonly (string | undefined)[]): string[] | undefined {
  const found = texts.filter((text) => text !== undefined);
  return found.length ? found : undefined;
}

/** A message of a conversation. */
export function said(role: string, content: unknown): Json {
  return { role, content };
}

/**
 * `fields` with the verbatim usage and who counted.
 *
 * Counts of an answer that broke off are the provider's last interim ones: an estimate.
 */
export function withSource(fields: EventFields, usage: unknown, isFinal: boolean): EventFields {
  const hasCounts = fields.input_tokens !== undefined || fields.output_tokens !== undefined;
  fields.usage_source = hasCounts ? (isFinal ? "provider" : "estimated") : "missing";
  const details = objectOf(usage);
  if (details && Object.keys(details).length) fields.usage_details = { ...details };
  return fields;
}
