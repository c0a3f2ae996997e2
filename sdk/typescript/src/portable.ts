/** Edge runtimes, and whatever else has `fetch`: no disk, and contexts where they are supported. */
import type { ContextFields, ContextStore } from "./context.js";
import type { Platform } from "./platform.js";
import { StackStore } from "./shared.js";

interface AsyncStorage {
  getStore(): ContextFields | undefined;
  run<Result>(fields: ContextFields, body: () => Result): Result;
}
type AsyncStorageClass = new () => AsyncStorage;
interface Runtime {
  readonly AsyncLocalStorage?: AsyncStorageClass;
  readonly process?: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly getBuiltinModule?: (name: string) => { AsyncLocalStorage?: AsyncStorageClass };
  };
}

const runtime = globalThis as unknown as Runtime;

export const PORTABLE: Platform = {
  get environment() {
    return runtime.process?.env ?? {};
  },
  contextStore,
  spool: () => null,
  atEnd: () => () => undefined,
  outlivesPage: false,
};

function contextStore(): ContextStore {
  const Storage =
    runtime.AsyncLocalStorage ??
    runtime.process?.getBuiltinModule?.("node:async_hooks")?.AsyncLocalStorage;
  if (!Storage) return new StackStore();
  const storage = new Storage();
  return {
    get: () => storage.getStore(),
    run: (fields, body) => storage.run(fields, body),
  };
}
