/** For browsers: no wrappers of client libraries, which belong where their keys are. */
import { BROWSER } from "./browser/platform.js";
import type { InitOptions } from "./options.js";
import { start } from "./state.js";

export * from "./api.js";

/**
 * Start recording, or start again with other options. See README.md for each of them.
 *
 * @throws OptionError an option cannot be used; the message says why.
 */
export function init(options: InitOptions = {}): void {
  start(BROWSER, options);
}
