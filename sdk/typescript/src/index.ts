/** For edge runtimes, and whatever else has `fetch`. */
import type { InitOptions } from "./options.js";
import { PORTABLE } from "./portable.js";
import { start } from "./state.js";

export * from "./api.js";
export { languageModelMiddleware } from "./instrumentation/vercel.js";
export { instrument, uninstrument, wrap, type ClientClass } from "./instrumentation/wrap.js";

/**
 * Start recording, or start again with other options. See README.md for each of them.
 *
 * What is left out is read from the environment (`LLMSCOPE_API_KEY` ...), else has its default.
 *
 * @throws OptionError an option cannot be used; the message says why.
 */
export function init(options: InitOptions = {}): void {
  start(PORTABLE, options);
}
