/** Answers of text-generation servers; the others that Hugging Face has answer as OpenAI does. */
import type { EventFields } from "../events.js";
import {
  at,
  countAt,
  listAt,
  objectOf,
  present,
  said,
  textAt,
  withSource,
  type Json,
} from "./reading.js";

/** Fields of the event of a generated text, whole or put together from a stream. */
export function read(response: Json, isFinal: boolean): EventFields {
  const details = response["details"];
  const fields: EventFields = {
    response_finish_reasons: present([textAt(details, "finish_reason")]),
    // Some say it; others list the tokens of the prompt, where they were asked to.
    input_tokens:
      countAt(details, "input_length") ?? (listAt(details, "prefill")?.length || undefined),
    output_tokens: countAt(details, "generated_tokens"),
  };
  return withSource(fields, usageOf(details), isFinal);
}

/** The counts alone: the rest are the tokens themselves. */
function usageOf(details: unknown): Json | undefined {
  const names = ["generated_tokens", "input_length", "finish_reason"];
  const found = names.map((name) => [name, at(details, name)]);
  const told = found.filter(([, value]) => value !== undefined && value !== null);
  return objectOf(details) && Object.fromEntries(told);
}

/** The prompt. */
export function inputMessages(request: Json): readonly unknown[] | undefined {
  const inputs = textAt(request, "inputs");
  return inputs ? [said("user", inputs)] : undefined;
}

/** The generated text. */
export function outputMessages(response: Json): readonly unknown[] | undefined {
  const text = textAt(response, "generated_text");
  return text ? [said("assistant", text)] : undefined;
}

/** One token an event; the last one has the text and the counts. */
export class TextStream {
  response: Record<string, unknown> = {};
  isFinal = false;

  add(_event: string, data: Json): void {
    for (const name of ["generated_text", "details", "error"]) {
      if (data[name] !== undefined && data[name] !== null) this.response[name] = data[name];
    }
    this.isFinal ||= objectOf(data["details"]) !== undefined;
  }
}
