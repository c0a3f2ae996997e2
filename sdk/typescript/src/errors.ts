/**
 * Every error of this package.
 *
 * LLMScopeError
 * ├── OptionError      `init` was given a value that cannot be used; the message says which and why
 * └── ReportedError    never thrown: handed to `onError`
 *     ├── LossError      events were lost, for the reason it names
 *     ├── HeldError      events cannot be sent for now and are kept
 *     └── InternalError  the SDK failed inside; the application's call was not touched
 */
export class LLMScopeError extends Error {
  override readonly name: string = "LLMScopeError";
}

/** An option cannot be used; `option` is its name, as `init` takes it. */
export class OptionError extends LLMScopeError {
  override readonly name: string = "OptionError";

  constructor(
    readonly option: string,
    reason: string,
  ) {
    super(`${option}: ${reason}`);
  }
}

/**
 * What `onError` is told; each reason once in the life of a client.
 *
 * `reason` is one word of a fixed list, the key of `losses()` for a loss; `detail` is in words.
 */
export class ReportedError extends LLMScopeError {
  override readonly name: string = "ReportedError";

  constructor(
    readonly reason: string,
    readonly detail: string,
  ) {
    super(`${reason}: ${detail}`);
  }
}

/** Events were lost: `count` of them, this first time; `losses()` has the sum. */
export class LossError extends ReportedError {
  override readonly name: string = "LossError";

  constructor(
    reason: string,
    detail: string,
    readonly count: number,
  ) {
    super(reason, detail);
  }
}

/** Events cannot be sent for now and are kept; `status` is the server's, null without an answer. */
export class HeldError extends ReportedError {
  override readonly name: string = "HeldError";

  constructor(
    reason: string,
    detail: string,
    readonly status: number | null = null,
  ) {
    super(reason, detail);
  }
}

/** The SDK failed inside. The application's call was not touched; its event may be missing. */
export class InternalError extends ReportedError {
  override readonly name: string = "InternalError";
}

/** An error in words, whatever was thrown. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
