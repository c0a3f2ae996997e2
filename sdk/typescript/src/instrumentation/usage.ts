/** Streams in OpenAI's form report usage only when they are asked to. */
import type { Api } from "../providers/apis.js";
import { at, objectOf, type Json } from "../providers/reading.js";
import { shared } from "../shared.js";

// Mistral refuses fields that it does not know; Azure did before this version.
const REFUSE_STREAM_OPTIONS: ReadonlySet<string> = new Set(["mistral_ai"]);
const FIRST_AZURE_VERSION = "2024-09-01";

/** Whether to ask for it on our own account; `version` is Azure's. */
export function mayAskUsage(
  api: Api,
  providerName: string,
  body: unknown,
  version?: string,
): boolean {
  const isWanted = api.asksUsage && shared().client?.options.asksForStreamUsage;
  const asked = objectOf(at(body, "stream_options"));
  if (!isWanted || !objectOf(body) || (asked && "include_usage" in asked)) return false;
  if (REFUSE_STREAM_OPTIONS.has(providerName)) return false;
  return version === undefined || version >= FIRST_AZURE_VERSION;
}

/** A copy: the application may send its own body again. */
export function askingUsage(body: unknown): Json {
  const stream_options = { ...objectOf(at(body, "stream_options")), include_usage: true };
  return { ...objectOf(body), stream_options };
}
