/** What the SDK asks of the runtime that it is in. */
import type { ContextStore } from "./context.js";
import type { Options } from "./options.js";
import type { Spool } from "./transport/spool.js";

/** What has to happen when the program ends. */
export interface Ending {
  /** Nothing is left to do for the program: there is time. */
  settle(): Promise<void>;
  /** It ends now: nothing can be awaited. */
  rescue(): void;
}

export interface Platform {
  /** Environment variables, empty where there are none. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A new store for contexts. */
  contextStore(): ContextStore;
  /** Where events wait out an outage, null where memory alone can keep them. */
  spool(options: Options, damaged: (count: number) => void): Spool | null;
  /** Tell `ending` of the end; the function that is returned takes it back. */
  atEnd(ending: Ending): () => void;
  /** Whether requests are to outlive the page that makes them. */
  readonly outlivesPage: boolean;
}

export type Timer = ReturnType<typeof setTimeout>;

/** A timer that keeps no program alive. */
export function quietTimer(run: () => void, milliseconds: number): Timer {
  const timer = setTimeout(run, milliseconds);
  // Node, Deno and Bun have it; browsers end without asking timers.
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
