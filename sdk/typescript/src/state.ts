/** The client that `init` made, for everything that records. */
import { Client } from "./client.js";
import { warn } from "./losses.js";
import { resolve, type InitOptions } from "./options.js";
import type { Platform } from "./platform.js";
import { shared } from "./shared.js";

/** `init` of a platform's entry. */
export function start(platform: Platform, options: InitOptions): void {
  const state = shared();
  const client = new Client(resolve(options, platform.environment), platform);
  const previous = state.client;
  state.client = client;
  if (previous) void previous.shutdown();
  else state.contextStore = platform.contextStore();
}

/** The client, null before `init` and where recording is off; says so once. */
export function current(): Client | null {
  const state = shared();
  if (!state.client && !state.hasWarned) {
    state.hasWarned = true;
    warn("nothing is recorded before init()");
  }
  return state.client?.options.isEnabled ? state.client : null;
}

/**
 * Whether every event was delivered within the time, by default `timeoutSeconds`.
 *
 * False tells of an outage, not of a loss: what was not sent waits on disk or in memory.
 */
export async function flush(timeoutSeconds?: number): Promise<boolean> {
  return (await shared().client?.flush(timeoutSeconds)) ?? true;
}

/**
 * Send what waits within the time, by default `shutdownTimeoutSeconds`; store the rest.
 *
 * Also happens at the end of the process. `init` starts anew.
 */
export async function shutdown(timeoutSeconds?: number): Promise<void> {
  const state = shared();
  const previous = state.client;
  state.client = null;
  await previous?.shutdown(timeoutSeconds);
}

/** Events lost in this program since `init`, by reason. */
export function losses(): Record<string, number> {
  return shared().client?.losses.counts() ?? {};
}
