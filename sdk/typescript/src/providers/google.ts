/**
 * Answers of Gemini, by Google's own API and by Vertex AI.
 *
 * Thoughts are counted beside the answer, and what tools read beside the prompt: both are added.
 */
import type { EventFields } from "../events.js";
import {
  at,
  countAt,
  countsBy,
  listAt,
  objectOf,
  objectsAt,
  present,
  textAt,
  tierOf,
  withSource,
  type Json,
} from "./reading.js";

/** Fields of the event of an answer, whole or put together from a stream. */
export function read(response: Json, isFinal: boolean): EventFields {
  const usage = response["usageMetadata"];
  const candidates = objectsAt(response, "candidates");
  const fields: EventFields = {
    response_id: textAt(response, "responseId"),
    response_model: textAt(response, "modelVersion"),
    response_finish_reasons: present(candidates.map((one) => textAt(one, "finishReason"))),
    service_tier: tierOf(textAt(usage, "serviceTier")?.toLowerCase()),
    ...counts(usage),
  };
  return withSource(fields, usage, isFinal);
}

function counts(usage: unknown): EventFields {
  const prompt = countAt(usage, "promptTokenCount");
  const answer = countAt(usage, "candidatesTokenCount");
  const thoughts = countAt(usage, "thoughtsTokenCount");
  const input = countsBy(usage, ["promptTokensDetails", "toolUsePromptTokensDetails"]);
  const output = countsBy(usage, ["candidatesTokensDetails"]);
  // A page of a document is read, and priced, as an image.
  const images = (input.get("IMAGE") ?? 0) + (input.get("DOCUMENT") ?? 0);
  const hasOutput = answer !== undefined || Boolean(thoughts);
  return {
    input_tokens:
      prompt === undefined ? undefined : prompt + (countAt(usage, "toolUsePromptTokenCount") ?? 0),
    output_tokens: hasOutput ? (answer ?? 0) + (thoughts ?? 0) : undefined,
    cache_read_input_tokens: countAt(usage, "cachedContentTokenCount"),
    reasoning_output_tokens: thoughts,
    input_audio_tokens: input.get("AUDIO"),
    output_audio_tokens: output.get("AUDIO"),
    input_image_tokens: images || undefined,
  };
}

/** Fields of the event of embeddings: Gemini reports usage, Vertex counts each text. */
export function readEmbedding(response: Json, isFinal: boolean): EventFields {
  if (objectOf(response["usageMetadata"])) return read(response, isFinal);
  const predictions = objectsAt(response, "predictions");
  const known = predictions
    .map((one) => countAt(one, "embeddings", "statistics", "token_count"))
    .filter((count) => count !== undefined);
  const sum = known.length ? known.reduce((all, count) => all + count, 0) : undefined;
  return withSource({ input_tokens: sum }, undefined, isFinal);
}

/** The prompt, as it was sent, the system's first. */
export function inputMessages(request: Json): readonly unknown[] | undefined {
  const contents = listAt(request, "contents");
  const system = objectOf(request["systemInstruction"]);
  return contents && system ? [{ role: "system", ...system }, ...contents] : contents;
}

/** The completion. */
export function outputMessages(response: Json): readonly unknown[] | undefined {
  const contents = objectsAt(response, "candidates").map((candidate) => candidate["content"]);
  return contents.length ? contents : undefined;
}

interface Candidate {
  content: { role: string; parts: [{ text: string }] };
  finishReason?: string;
}

/** Puts the chunks of an answer together; counts in them are sums so far. */
export class ContentStream {
  response: Record<string, unknown> = {};
  isFinal = false;
  readonly #candidates = new Map<number, Candidate>();

  add(_event: string, chunk: Json): void {
    for (const name of ["responseId", "modelVersion", "promptFeedback", "error"]) {
      if (chunk[name]) this.response[name] = chunk[name];
    }
    const usage = objectOf(chunk["usageMetadata"]);
    if (usage) {
      this.response["usageMetadata"] = { ...objectOf(this.response["usageMetadata"]), ...usage };
    }
    // A prompt that is blocked has no answer that could end.
    this.isFinal ||= Boolean(chunk["promptFeedback"]);
    for (const candidate of objectsAt(chunk, "candidates")) this.#addCandidate(candidate);
    const sorted = [...this.#candidates].sort(([one], [other]) => one - other);
    this.response["candidates"] = sorted.map(([, candidate]) => candidate);
  }

  #addCandidate(chunk: Json): void {
    const index = countAt(chunk, "index") ?? 0;
    const candidate = this.#candidates.get(index) ?? {
      content: { role: "model", parts: [{ text: "" }] },
    };
    this.#candidates.set(index, candidate);
    for (const part of objectsAt(at(chunk, "content"), "parts")) {
      candidate.content.parts[0].text += textAt(part, "text") ?? "";
    }
    const reason = textAt(chunk, "finishReason");
    if (!reason) return;
    candidate.finishReason = reason;
    this.isFinal = true;
  }
}
