/**
 * Answers in OpenAI's shapes: chat, completions, embeddings, responses, images, transcriptions.
 *
 * Counts are inclusive already: cached tokens are part of the input, reasoning of the output.
 */
import type { EventFields } from "../events.js";
import {
  at,
  countAt,
  firstCount,
  listAt,
  objectOf,
  objectsAt,
  present,
  said,
  textAt,
  tierOf,
  withSource,
  type Json,
} from "./reading.js";

// Chat, responses and transcriptions each name the parts of their counts in their own way.
const INPUT_PARTS = ["prompt_tokens_details", "input_tokens_details", "input_token_details"];
const OUTPUT_PARTS = ["completion_tokens_details", "output_tokens_details", "output_token_details"];

/** Fields of the event of an answer, whole or put together from a stream. */
export function read(response: Json, isFinal: boolean): EventFields {
  // Groq's streams have it in a place of their own.
  const usage = response["usage"] || at(response, "x_groq", "usage");
  const fields: EventFields = {
    response_id: textAt(response, "id"),
    response_model: textAt(response, "model"),
    response_finish_reasons: finishReasons(response),
    service_tier: tierOf(response["service_tier"]),
    reported_cost_usd: costOf(usage),
    ...counts(usage),
  };
  return withSource(fields, usage, isFinal);
}

function counts(usage: unknown): EventFields {
  const inputs = partsOf(usage, INPUT_PARTS);
  const outputs = partsOf(usage, OUTPUT_PARTS);
  const reasoning = countAt(outputs, "reasoning_tokens");
  return {
    input_tokens: firstCount(usage, ["prompt_tokens"], ["input_tokens"]),
    output_tokens: outputOf(usage, reasoning),
    // DeepSeek has a name of its own for it, Together a place of its own.
    cache_read_input_tokens:
      countAt(inputs, "cached_tokens") ??
      firstCount(usage, ["prompt_cache_hit_tokens"], ["cached_tokens"]),
    cache_write_input_tokens: countAt(inputs, "cache_write_tokens"),
    reasoning_output_tokens: reasoning,
    input_audio_tokens: countAt(inputs, "audio_tokens"),
    output_audio_tokens: countAt(outputs, "audio_tokens"),
    input_image_tokens: countAt(inputs, "image_tokens"),
  };
}

function partsOf(usage: unknown, names: readonly string[]): Json | undefined {
  return names.map((name) => objectOf(at(usage, name))).find((parts) => parts !== undefined);
}

/** xAI leaves reasoning out of the completion: its total tells. */
function outputOf(usage: unknown, reasoning: number | undefined): number | undefined {
  const output = firstCount(usage, ["completion_tokens"], ["output_tokens"]);
  const prompt = countAt(usage, "prompt_tokens");
  if (output === undefined || prompt === undefined || !reasoning) return output;
  const isApart = countAt(usage, "total_tokens") === prompt + output + reasoning;
  return isApart ? output + reasoning : output;
}

function finishReasons(response: Json): string[] | undefined {
  if ("output" in response) {
    const cutShort = textAt(response, "incomplete_details", "reason");
    return present([cutShort ?? textAt(response, "status")]);
  }
  return present(objectsAt(response, "choices").map((choice) => textAt(choice, "finish_reason")));
}

/** OpenRouter says what a call cost; as digits, for small numbers have an exponent. */
function costOf(usage: unknown): string | undefined {
  const cost = at(usage, "cost");
  if (typeof cost !== "number" || !(cost >= 0) || !Number.isFinite(cost)) return undefined;
  return plainDecimal(cost);
}

function plainDecimal(number: number): string {
  const [digits = "", exponent] = String(number).split("e");
  if (exponent === undefined) return digits;
  const [whole = "", fraction = ""] = digits.split(".");
  const shift = Number(exponent);
  if (shift >= 0) return (whole + fraction.padEnd(shift, "0")).replace(/\.$/, "");
  return `0.${(whole + fraction).padStart(whole.length + fraction.length - shift - 1, "0")}`;
}

/** The prompt, as it was sent. */
export function inputMessages(request: Json): readonly unknown[] | undefined {
  for (const name of ["messages", "input", "prompt"]) {
    const value = request[name];
    if (value !== undefined && value !== null) {
      return Array.isArray(value) ? value : [said("user", value)];
    }
  }
  return undefined;
}

/** The completion. */
export function outputMessages(response: Json): readonly unknown[] | undefined {
  const output = listAt(response, "output");
  if (output) return output;
  const choices = objectsAt(response, "choices");
  const messages = choices.map((one) => one["message"] ?? said("assistant", one["text"]));
  return messages.length ? messages : undefined;
}

interface Choice {
  message: { role: string; content: string };
  finish_reason?: string;
}

/** Puts chunks of chat and completions together to one answer. */
export class ChatStream {
  response: Record<string, unknown> = {};
  isFinal = false;
  readonly #choices = new Map<number, Choice>();

  add(_event: string, chunk: Json): void {
    for (const name of ["id", "model", "service_tier", "usage", "x_groq", "error"]) {
      if (chunk[name]) this.response[name] = chunk[name];
    }
    for (const choice of objectsAt(chunk, "choices")) this.#addChoice(choice);
    const sorted = [...this.#choices].sort(([one], [other]) => one - other);
    this.response["choices"] = sorted.map(([, choice]) => choice);
  }

  #addChoice(chunk: Json): void {
    const index = countAt(chunk, "index") ?? 0;
    const choice = this.#choices.get(index) ?? { message: { role: "assistant", content: "" } };
    this.#choices.set(index, choice);
    choice.message.content += textAt(chunk, "delta", "content") ?? textAt(chunk, "text") ?? "";
    const reason = textAt(chunk, "finish_reason");
    if (!reason) return;
    choice.finish_reason = reason;
    this.isFinal = true;
  }
}

const RESPONSE_ENDS = new Set(["response.completed", "response.incomplete", "response.failed"]);

/** The events of the Responses API carry the whole answer, empty at first. */
export class ResponseStream {
  response: Record<string, unknown> = {};
  isFinal = false;

  add(event: string, data: Json): void {
    const kind = textAt(data, "type") ?? event;
    const response = objectOf(data["response"]);
    if (response) this.response = response;
    if (kind === "error") this.response = { ...this.response, error: data["error"] ?? data };
    this.isFinal ||= RESPONSE_ENDS.has(kind);
  }
}
