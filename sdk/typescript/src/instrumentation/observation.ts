/** One call of a model by a client library, from its request to the end of its answer. */
import { Call, capturesContent } from "../calls.js";
import type { ContextFields } from "../context.js";
import { guarded } from "../guard.js";
import { answerFields, messageIn, type Api } from "../providers/apis.js";
import { objectOf, textAt, type Json } from "../providers/reading.js";

/** What is known of a call when it begins. */
export interface Asked {
  readonly api: Api;
  readonly providerName: string;
  readonly body: unknown;
  readonly isStream: boolean;
  /** Where the body does not say it. */
  readonly model?: string | undefined;
  /** What the wrapper was told of every call. */
  readonly fields?: ContextFields | undefined;
}

/** Collects the event of a call; whoever sees its end calls `end`, more often does no harm. */
export class Observation {
  readonly api: Api;
  readonly #hasContent = capturesContent();
  readonly #call: Call;
  #isAnswered = false;

  constructor({ api, providerName, body, isStream, model, fields }: Asked) {
    this.api = api;
    const request = objectOf(body) ?? {};
    this.#call = new Call(
      {
        provider_name: providerName,
        operation_name: api.operationName,
        request_model: model ?? textAt(request, "model"),
        is_stream: isStream,
      },
      fields,
    );
    if (this.#hasContent) this.#call.set({ input_messages: api.inputMessages(request) });
  }

  /** Take over what the provider answered. */
  answer(response: Json | undefined, isFinal = true): void {
    this.#isAnswered = true;
    this.#call.set(answerFields(this.api, response, isFinal, this.#hasContent));
  }

  /** The provider answered with a status that is a failure. */
  refuse(status: number, text: string): void {
    const message = messageIn(parsed(text) ?? {}) ?? text;
    const error_type = String(status);
    this.#call.set({ http_status_code: status, error_type, error_message: message });
  }

  /** The HTTP status of the answer. */
  status(code: number): void {
    this.#call.set({ http_status_code: code });
  }

  /** The first bytes of a stream are here. */
  firstChunk(): void {
    this.#call.noteFirstChunk();
  }

  /** Record the call; never throws. */
  end(error?: unknown): void {
    guarded(() => {
      if (!this.#isAnswered) this.#call.set({ usage_source: "missing" });
      this.#call.end(error);
    });
  }
}

/** An object, or the first of a list; undefined where it is none. */
export function firstObject(document: unknown): Json | undefined {
  return objectOf(Array.isArray(document) ? document[0] : document);
}

/** `firstObject` of a text, undefined where that is no JSON. */
export function parsed(text: string): Json | undefined {
  try {
    return firstObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}
