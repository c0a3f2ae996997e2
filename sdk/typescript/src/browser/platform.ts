/** Pages and workers of browsers. */
import type { Options } from "../options.js";
import type { Ending, Platform } from "../platform.js";
import { StackStore } from "../shared.js";
import { DatabaseSpool } from "./spool.js";

export const BROWSER: Platform = {
  environment: {},
  contextStore: () => new StackStore(),
  spool,
  atEnd,
  outlivesPage: true,
};

function spool(options: Options, damaged: (count: number) => void): DatabaseSpool | null {
  const isOff = options.spoolDirectory === "" || options.spoolDirectory.toLowerCase() === "off";
  if (isOff || typeof indexedDB === "undefined") return null;
  return new DatabaseSpool(`llmscope ${options.url}`, options.maxSpoolBytes, damaged);
}

/** A page that is hidden may never be shown again, and no event tells of its end. */
function atEnd(ending: Ending): () => void {
  if (typeof document === "undefined") return () => undefined;
  const settle = () => {
    if (document.visibilityState === "hidden") void ending.settle();
  };
  document.addEventListener("visibilitychange", settle);
  return () => document.removeEventListener("visibilitychange", settle);
}
