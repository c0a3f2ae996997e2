/** What all copies of this package in one program share: ESM and CJS may both be loaded. */
import type { Client } from "./client.js";
import type { ContextFields, ContextStore } from "./context.js";

interface Shared {
  client: Client | null;
  contextStore: ContextStore;
  hasWarned: boolean;
}

const KEY = Symbol.for("@llmscope/sdk 0");

/** Made by whichever copy needs it first. */
export function shared(): Shared {
  const place = globalThis as { [KEY]?: Shared };
  place[KEY] ??= { client: null, contextStore: new StackStore(), hasWarned: false };
  return place[KEY];
}

/** Knows the context as long as nothing is awaited. */
export class StackStore implements ContextStore {
  #fields: ContextFields | undefined;

  get(): ContextFields | undefined {
    return this.#fields;
  }

  run<Result>(fields: ContextFields, body: () => Result): Result {
    const outer = this.#fields;
    this.#fields = fields;
    try {
      return body();
    } finally {
      this.#fields = outer;
    }
  }
}
