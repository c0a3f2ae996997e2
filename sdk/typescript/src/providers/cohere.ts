/**
 * Answers of Cohere: chat (v1 and v2), embeddings, rerank.
 *
 * It bills other counts than it reports as tokens, and its bill is what a call costs: billed counts
 * come first, tokens only where nothing is billed.
 */
import type { EventFields } from "../events.js";
import {
  at,
  countAt,
  firstCount,
  listAt,
  objectOf,
  present,
  said,
  textAt,
  withSource,
  type Json,
} from "./reading.js";

/** Fields of the event of an answer, whole or put together from a stream. */
export function read(response: Json, isFinal: boolean): EventFields {
  const usage = response["usage"] ?? response["meta"];
  const ids = ["response_id", "generation_id", "id"].map((name) => textAt(response, name));
  const fields: EventFields = {
    response_id: ids.find((id) => id !== undefined),
    response_finish_reasons: present([textAt(response, "finish_reason")]),
    ...counts(usage),
  };
  const whole = withSource(fields, usage, isFinal);
  const isBilledBySearch = countAt(usage, "billed_units", "search_units") !== undefined;
  if (isFinal && isBilledBySearch) whole.usage_source = "provider";
  return whole;
}

function counts(usage: unknown): EventFields {
  const cached = countAt(usage, "cached_tokens");
  const billed = firstCount(usage, ["billed_units", "input_tokens"], ["tokens", "input_tokens"]);
  const images = countAt(usage, "billed_units", "image_tokens") || undefined;
  return {
    input_tokens: images === undefined ? billed : (billed ?? 0) + images,
    output_tokens: firstCount(
      usage,
      ["billed_units", "output_tokens"],
      ["tokens", "output_tokens"],
    ),
    // What is cached may be more than what is billed: then the counts do not tell of one thing.
    cache_read_input_tokens: (cached ?? 0) <= (billed ?? 0) ? cached : undefined,
    input_image_tokens: images,
  };
}

/** The prompt, as it was sent. */
export function inputMessages(request: Json): readonly unknown[] | undefined {
  const messages = listAt(request, "messages");
  if (messages) return messages;
  const message = textAt(request, "message");
  if (message) return [...(listAt(request, "chat_history") ?? []), said("user", message)];
  const query = textAt(request, "query");
  const texts = query ? [query] : listAt(request, "texts");
  return texts?.length ? texts.map((text) => said("user", text)) : undefined;
}

/** The completion. */
export function outputMessages(response: Json): readonly unknown[] | undefined {
  const message = objectOf(response["message"]);
  if (message) return [message];
  const text = textAt(response, "text");
  return text ? [said("assistant", text)] : undefined;
}

/** Puts the events of both versions of a stream together to one answer. */
export class ChatStream {
  response: Record<string, unknown> = {};
  isFinal = false;
  #text = "";

  add(event: string, data: Json): void {
    const kind = textAt(data, "type") ?? textAt(data, "event_type") ?? event;
    if (kind === "message-start" || kind === "stream-start") {
      for (const name of ["id", "generation_id"]) {
        if (data[name]) this.response[name] = data[name];
      }
    } else if (kind === "content-delta") {
      this.#addText(textAt(data, "delta", "message", "content", "text"));
    } else if (kind === "text-generation") {
      this.#addText(textAt(data, "text"));
    } else if (kind === "message-end" || kind === "stream-end") {
      this.#finish(data);
    }
  }

  #addText(text: string | undefined): void {
    this.#text += text ?? "";
    this.response["text"] = this.#text;
  }

  #finish(data: Json): void {
    const answer = objectOf(data["delta"]) ?? objectOf(data["response"]);
    Object.assign(this.response, answer);
    this.response["finish_reason"] ??= at(data, "finish_reason");
    this.isFinal = true;
  }
}
