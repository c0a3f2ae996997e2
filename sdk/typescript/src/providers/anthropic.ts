/**
 * Answers of Anthropic's Messages API.
 *
 * Its `input_tokens` leave out what was read from a cache and written to it: they are added here.
 */
import type { EventFields } from "../events.js";
import {
  at,
  countAt,
  listAt,
  objectOf,
  present,
  said,
  textAt,
  tierOf,
  withSource,
  type Json,
} from "./reading.js";

/** Fields of the event of an answer, whole or put together from a stream. */
export function read(response: Json, isFinal: boolean): EventFields {
  const usage = response["usage"];
  const fields: EventFields = {
    response_id: textAt(response, "id"),
    response_model: textAt(response, "model"),
    response_finish_reasons: present([textAt(response, "stop_reason")]),
    service_tier: tierOf(at(usage, "service_tier")),
    ...counts(usage),
  };
  return withSource(fields, usage, isFinal);
}

function counts(usage: unknown): EventFields {
  const uncached = countAt(usage, "input_tokens");
  const readCount = countAt(usage, "cache_read_input_tokens");
  const written = countAt(usage, "cache_creation_input_tokens");
  return {
    input_tokens: uncached === undefined ? undefined : uncached + (readCount ?? 0) + (written ?? 0),
    output_tokens: countAt(usage, "output_tokens"),
    cache_read_input_tokens: readCount,
    cache_write_input_tokens: written,
    cache_write_1h_input_tokens: countAt(usage, "cache_creation", "ephemeral_1h_input_tokens"),
    reasoning_output_tokens: countAt(usage, "output_tokens_details", "thinking_tokens"),
  };
}

/** The prompt, as it was sent, the system's first. */
export function inputMessages(request: Json): readonly unknown[] | undefined {
  const messages = listAt(request, "messages");
  const system = request["system"];
  return messages && system ? [said("system", system), ...messages] : messages;
}

/** The completion. */
export function outputMessages(response: Json): readonly unknown[] | undefined {
  const content = response["content"];
  return content ? [said("assistant", content)] : undefined;
}

/** Puts the events of a stream together to one message; counts in them are sums so far. */
export class MessageStream {
  response: Record<string, unknown> = {};
  isFinal = false;
  #text = "";

  add(event: string, data: Json): void {
    const kind = textAt(data, "type") ?? event;
    const message = objectOf(data["message"]);
    if (kind === "message_start" && message) this.response = { ...message };
    else if (kind === "message_delta") this.#finish(data);
    else if (kind === "content_block_delta") this.#text += textAt(data, "delta", "text") ?? "";
    else if (kind === "error") this.response["error"] = data["error"];
  }

  #finish(data: Json): void {
    const usage = objectOf(data["usage"]);
    if (usage) {
      const told = Object.entries(usage).filter(([, value]) => value !== null);
      const before = objectOf(this.response["usage"]);
      this.response["usage"] = { ...before, ...Object.fromEntries(told) };
      this.isFinal = true;
    }
    if (objectOf(data["delta"])) this.response["stop_reason"] = at(data, "delta", "stop_reason");
    this.response["content"] = [{ type: "text", text: this.#text }];
  }
}
