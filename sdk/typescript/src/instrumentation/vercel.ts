/**
 * Models of the AI SDK (package `ai`), by the specifications v2, v3 and v4.
 *
 * Between its functions and a model there are two methods, `doGenerate` and `doStream`: they are
 * covered by a middleware, or on a model.
 */
import type { ContextFields } from "../context.js";
import { Call, capturesContent } from "../calls.js";
import type { EventFields } from "../events.js";
import { isAbort } from "../failures.js";
import { guarded } from "../guard.js";
import { at, countAt, firstCount, listAt, objectOf, said, textAt } from "../providers/reading.js";
import { current } from "../state.js";
import { hide } from "./members.js";

/** A model, of whichever specification. */
export interface LanguageModel {
  readonly provider: string;
  readonly modelId: string;
  doGenerate(options: never): PromiseLike<unknown>;
  doStream(options: never): PromiseLike<{ stream: ReadableStream<unknown> }>;
}

interface Wrapping<Result> {
  readonly doGenerate: () => PromiseLike<unknown>;
  readonly doStream: () => PromiseLike<unknown>;
  readonly params: unknown;
  readonly model: { readonly provider: string; readonly modelId: string };
  readonly result?: Result;
}

// How the AI SDK calls providers, before the first dot, where it is another word than ours.
const PROVIDERS: Readonly<Record<string, string>> = {
  "amazon-bedrock": "aws.bedrock",
  azure: "azure.ai.openai",
  "azure-openai": "azure.ai.openai",
  google: "gcp.gemini",
  huggingface: "hugging_face",
  mistral: "mistral_ai",
  togetherai: "together",
  vertex: "gcp.vertex_ai",
  xai: "x_ai",
};

/**
 * A middleware for `wrapLanguageModel` that records every call.
 *
 * @param fields Put on the event of each call, as `context` does.
 */
export function languageModelMiddleware(fields?: ContextFields) {
  return {
    // What `ai` asks of a middleware depends on its version, and none of them looks at this.
    specificationVersion: "v4" as never,
    async wrapGenerate<Result>({ doGenerate, params, model }: Wrapping<Result>): Promise<never> {
      return (await generated(model, params, fields, doGenerate)) as never;
    },
    async wrapStream<Result>({ doStream, params, model }: Wrapping<Result>): Promise<never> {
      return (await streamed(model, params, fields, doStream)) as never;
    },
  };
}

/** Whether it is a model of the AI SDK. */
export function isLanguageModel(value: object): value is LanguageModel {
  const { doGenerate, doStream } = value as Partial<LanguageModel>;
  return typeof doGenerate === "function" && typeof doStream === "function";
}

/** Record every call of one model. */
export function wrapModel(model: LanguageModel, fields: ContextFields | undefined): void {
  const { doGenerate, doStream } = model;
  hide(model, "doGenerate", (params: never) => {
    return generated(model, params, fields, () => doGenerate.call(model, params));
  });
  hide(model, "doStream", (params: never) => {
    return streamed(model, params, fields, () => doStream.call(model, params));
  });
}

async function generated(
  model: Wrapping<unknown>["model"],
  params: unknown,
  fields: ContextFields | undefined,
  generate: () => PromiseLike<unknown>,
): Promise<unknown> {
  const call = guarded(() => begun(model, params, fields, false));
  try {
    const result = await generate();
    guarded(() => call?.set(answered(result, true)));
    guarded(() => call?.end());
    return result;
  } catch (error) {
    guarded(() => call?.set({ usage_source: "missing" }));
    guarded(() => call?.end(error));
    throw error;
  }
}

async function streamed(
  model: Wrapping<unknown>["model"],
  params: unknown,
  fields: ContextFields | undefined,
  stream: () => PromiseLike<unknown>,
): Promise<unknown> {
  const call = guarded(() => begun(model, params, fields, true));
  try {
    const result = await stream();
    const parts = at(result, "stream");
    if (!call || !(parts instanceof ReadableStream)) return result;
    return { ...objectOf(result), stream: observed(parts, call) };
  } catch (error) {
    guarded(() => call?.set({ usage_source: "missing" }));
    guarded(() => call?.end(error));
    throw error;
  }
}

function begun(
  model: Wrapping<unknown>["model"],
  params: unknown,
  fields: ContextFields | undefined,
  isStream: boolean,
): Call | undefined {
  if (!current()) return undefined;
  const name = model.provider.split(".")[0] ?? model.provider;
  const isVertex = model.provider.startsWith("google.vertex");
  const call = new Call(
    {
      provider_name: isVertex ? "gcp.vertex_ai" : (PROVIDERS[name] ?? name),
      operation_name: "chat",
      request_model: model.modelId,
      is_stream: isStream,
    },
    fields,
  );
  if (capturesContent()) call.set({ input_messages: listAt(params, "prompt") });
  return call;
}

/** Fields of the event of a result, or of the parts of a stream put together to one. */
function answered(result: unknown, isFinal: boolean): EventFields {
  const usage = at(result, "usage");
  const reason = at(result, "finishReason");
  const word =
    typeof reason === "string" ? reason : (textAt(reason, "raw") ?? textAt(reason, "unified"));
  const fields: EventFields = {
    response_id: textAt(result, "response", "id"),
    response_model: textAt(result, "response", "modelId"),
    response_finish_reasons: word ? [word] : undefined,
    input_tokens: firstCount(usage, ["inputTokens", "total"], ["inputTokens"]),
    output_tokens: firstCount(usage, ["outputTokens", "total"], ["outputTokens"]),
    cache_read_input_tokens: firstCount(usage, ["inputTokens", "cacheRead"], ["cachedInputTokens"]),
    cache_write_input_tokens: countAt(usage, "inputTokens", "cacheWrite"),
    reasoning_output_tokens: firstCount(usage, ["outputTokens", "reasoning"], ["reasoningTokens"]),
    usage_details: objectOf(at(usage, "raw")) ?? objectOf(usage),
  };
  const hasCounts = fields.input_tokens !== undefined || fields.output_tokens !== undefined;
  fields.usage_source = hasCounts ? (isFinal ? "provider" : "estimated") : "missing";
  const content = listAt(result, "content");
  if (capturesContent() && content?.length) fields.output_messages = [said("assistant", content)];
  return fields;
}

/** The same parts, read as they are asked for. */
function observed(source: ReadableStream<unknown>, call: Call): ReadableStream<unknown> {
  const reader = source.getReader();
  const seen = new Parts(call);
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            seen.end();
            controller.close();
          } else {
            guarded(() => seen.add(value));
            controller.enqueue(value);
          }
        } catch (error) {
          seen.end(isAbort(error) ? undefined : error);
          throw error;
        }
      },
      async cancel(reason) {
        seen.end();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

class Parts {
  readonly #result: Record<string, unknown> = {};
  #error: unknown;
  #text = "";
  #isFinal = false;

  constructor(readonly call: Call) {}

  add(part: unknown): void {
    this.call.noteFirstChunk();
    const kind = textAt(part, "type");
    if (kind === "response-metadata") this.#result["response"] = part;
    else if (kind === "text-delta") this.#text += textAt(part, "delta") ?? "";
    else if (kind === "error") this.#error = at(part, "error") ?? new Error("error");
    else if (kind === "finish") {
      Object.assign(this.#result, { usage: at(part, "usage") });
      this.#result["finishReason"] = at(part, "finishReason");
      this.#isFinal = true;
    }
  }

  end(error: unknown = this.#error): void {
    guarded(() => {
      if (this.#text) this.#result["content"] = [{ type: "text", text: this.#text }];
      this.call.set(answered(this.#result, this.#isFinal));
    });
    guarded(() => this.call.end(error));
  }
}
