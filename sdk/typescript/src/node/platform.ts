/** Node, Deno and Bun. */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";

import type { ContextFields, ContextStore } from "../context.js";
import type { Options } from "../options.js";
import type { Ending, Platform } from "../platform.js";
import { DiskSpool } from "./spool.js";

export const NODE: Platform = {
  get environment() {
    return process.env;
  },
  contextStore: asyncStore,
  spool,
  atEnd,
  outlivesPage: false,
};

function asyncStore(): ContextStore {
  const storage = new AsyncLocalStorage<ContextFields>();
  return {
    get: () => storage.getStore(),
    run: (fields, body) => storage.run(fields, body),
  };
}

function spool(options: Options, damaged: (count: number) => void): DiskSpool | null {
  const given = options.spoolDirectory;
  if (given === "" || given.toLowerCase() === "off") return null;
  const folder = given === "~" || /^~[/\\]/.test(given) ? join(homedir(), given.slice(1)) : given;
  // Events of one key must not be sent with another: they would be another project's. The Python
  // SDK keeps its segments by other rules, so that the two must not meet.
  const whose = `${options.url}\n${options.apiKey}`;
  const name = createHash("sha256").update(whose).digest("hex").slice(0, 16);
  return new DiskSpool(join(folder, `${name}-node`), options.maxSpoolBytes, damaged);
}

const endings = new Set<Ending>();
let isWatching = false;

/** One pair of listeners for all clients: Node warns of more than ten. */
function atEnd(ending: Ending): () => void {
  endings.add(ending);
  if (!isWatching) {
    isWatching = true;
    process.on("beforeExit", () => endings.forEach((each) => void each.settle()));
    process.on("exit", () => endings.forEach((each) => each.rescue()));
  }
  return () => endings.delete(ending);
}
