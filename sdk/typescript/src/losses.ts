/** Counts what was lost and tells `onError` of each reason once. */
import { HeldError, InternalError, LossError, wordsOf, type ReportedError } from "./errors.js";
import type { OnError } from "./options.js";

export class Losses {
  readonly #counts = new Map<string, number>();
  readonly #told = new Set<string>();
  readonly #onError: OnError;

  /** `onError` is told of each reason once; by default the console is. */
  constructor(onError: OnError | null = null) {
    this.#onError = onError ?? log;
  }

  /** So many events are lost. */
  count(reason: string, detail: string, count = 1): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
    if (!this.#told.has(reason)) this.#tell(new LossError(reason, detail, count));
  }

  /** Events have to wait. */
  hold(reason: string, detail: string, status: number | null = null): void {
    if (!this.#told.has(reason)) this.#tell(new HeldError(reason, detail, status));
  }

  /** The SDK itself failed. */
  fail(error: unknown): void {
    if (this.#told.has("internal")) return;
    this.#tell(new InternalError("internal", wordsOf(error)));
  }

  /** Lost events by reason. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  #tell(error: ReportedError): void {
    this.#told.add(error.reason);
    try {
      this.#onError(error);
    } catch (failure) {
      warn(`onError itself failed (${wordsOf(failure)}) when told: ${error.message}`);
    }
  }
}

/** A line of ours on the console. */
export function warn(line: string): void {
  console.warn(`llmscope: ${line}`);
}

function log(error: ReportedError): void {
  warn(`${error.message}; told once, losses() counts`);
}
