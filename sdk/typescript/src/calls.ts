/** Calls of providers that no wrapper knows: `record`, `call` and `recorded`. */
import { currentFields, joined, type ContextFields } from "./context.js";
import { timestamp, type EventFields } from "./events.js";
import { failureFields } from "./failures.js";
import { guarded } from "./guard.js";
import { shared } from "./shared.js";
import { current } from "./state.js";

/**
 * Record a call that has ended; `fields` are those of docs/events.md.
 *
 * Needed are `provider_name`, and `request_model` or `response_model`. Never throws: an event that
 * cannot be one is counted as lost (`invalid`).
 */
export function record(fields: EventFields): void {
  current()?.record(fields);
}

/** A call that goes on. */
export class Call {
  // Fields of its event so far; those that were set last win, and come first.
  readonly #layers: EventFields[];
  readonly #fields: ContextFields;
  readonly #startedAt = Date.now();
  readonly #started = performance.now();
  #firstChunkSeconds: number | undefined;
  #isEnded = false;

  constructor(values: EventFields, fields?: ContextFields) {
    this.#layers = [{ ...values }];
    // The context where it began: it may end in another one.
    this.#fields = fields ? joined(fields, currentFields()) : currentFields();
  }

  /** Add fields to the event, such as `input_tokens`. */
  set(values: EventFields): void {
    this.#layers.unshift({ ...values });
  }

  /** Since it began. */
  elapsedSeconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** The first part of a streamed answer has arrived; later ones change nothing. */
  noteFirstChunk(): void {
    this.#firstChunkSeconds ??= this.elapsedSeconds();
  }

  /** Record it, once; failed with `error` where one is given. */
  end(error?: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const duration_seconds = this.elapsedSeconds();
    const started_at = timestamp(this.#startedAt);
    const time_to_first_chunk_seconds = this.#firstChunkSeconds;
    this.#layers.push({ started_at, duration_seconds, time_to_first_chunk_seconds });
    if (error !== undefined) this.#layers.push(failureFields(error));
    current()?.recordLayers(this.#layers, this.#fields);
  }
}

/** A call around a function, sync or async: `await call("acme", "m1", async (call) => ...)`. */
export function call<Result>(
  providerName: string,
  requestModel: string,
  body: (call: Call) => Result,
  operationName = "chat",
): Result {
  const going = new Call({
    provider_name: providerName,
    request_model: requestModel,
    operation_name: operationName,
  });
  return ending(going, () => body(going));
}

/** How `recorded` records. */
export interface RecordedOptions<Result> {
  /** OpenTelemetry's name of the operation. Default: `chat`. */
  operationName?: string;
  /** Fields of the event from what the function returned. */
  describe?: (result: Awaited<Result>) => EventFields;
}

/** A function that records each call of `body`, sync or async. */
export function recorded<Arguments extends unknown[], Result>(
  providerName: string,
  requestModel: string,
  body: (...given: Arguments) => Result,
  { operationName = "chat", describe }: RecordedOptions<Result> = {},
): (...given: Arguments) => Result {
  return function (this: unknown, ...given: Arguments): Result {
    const going = new Call({
      provider_name: providerName,
      request_model: requestModel,
      operation_name: operationName,
    });
    const note = (result: unknown) => {
      // The application's call succeeded, and goes on whatever `describe` does.
      if (describe) guarded(() => going.set(describe(result as Awaited<Result>)));
    };
    return ending(going, () => body.apply(this, given), note);
  };
}

function ending<Result>(
  going: Call,
  body: () => Result,
  note: (result: unknown) => void = () => undefined,
): Result {
  let result: Result;
  try {
    result = body();
  } catch (error) {
    going.end(error);
    throw error;
  }
  if (!isThenable(result)) {
    note(result);
    going.end();
    return result;
  }
  return result.then(
    (value) => {
      note(value);
      going.end();
      return value;
    },
    (error: unknown) => {
      going.end(error ?? new Error("rejected"));
      throw error;
    },
  ) as Result;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === "function";
}

/** Whether prompts and completions are recorded. */
export function capturesContent(): boolean {
  return shared().client?.options.captureContent ?? false;
}
