/** Clients with a server and a spool of their own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, type TestContext } from "node:test";

import { Client } from "../src/client.js";
import type { ReportedError } from "../src/errors.js";
import { flush, init, shutdown } from "../src/index.node.js";
import { NODE } from "../src/node/platform.js";
import { resolve, type InitOptions } from "../src/options.js";
import type { Backoff } from "../src/transport/backoff.js";
import { Door, type Taken } from "./door.js";

export const FAST: Backoff = { firstSeconds: 0.01, maxSeconds: 0.05, chance: Math.random };
export const EVENT = { provider_name: "acme", request_model: "m1" };

/** A folder that is gone after the test. */
export function temporaryFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "llmscope-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Collect garbage until it shows. */
export async function untilCollected(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isTrue() && performance.now() < deadline) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A server, what `onError` was told, and clients that retry at once. */
export async function setUp(test: TestContext) {
  const door = await Door.opened();
  const reports: ReportedError[] = [];
  const folder = temporaryFolder(test);
  const clients: Client[] = [];
  const make = (options: InitOptions = {}): Client => {
    const given: InitOptions = {
      apiKey: "llms_test",
      url: door.url,
      spoolDirectory: join(folder, "spool"),
      flushIntervalSeconds: 0.02,
      onError: (error) => reports.push(error),
      ...options,
    };
    const client = new Client(resolve(given, {}), NODE, FAST);
    clients.push(client);
    return client;
  };
  test.after(async () => {
    await Promise.all(clients.map((client) => client.shutdown(1)));
    await door.close();
  });
  return { door, reports, folder, make };
}

/** A server that `init` of this program sends to; `recorded` gives its events and forgets them. */
export async function startRecording(options: InitOptions = {}) {
  const door = await Door.opened();
  const reports: ReportedError[] = [];
  const start = (more: InitOptions = {}) => {
    const onError = (error: ReportedError) => reports.push(error);
    init({ apiKey: "k", url: door.url, spoolDirectory: "off", onError, ...options, ...more });
  };
  start();
  const recorded = async (): Promise<Taken[]> => {
    if (!(await flush(10))) throw new Error("the events did not arrive");
    const found = door.taken;
    door.events.clear();
    return found;
  };
  beforeEach(() => {
    door.events.clear();
    reports.length = 0;
  });
  after(async () => {
    await shutdown(1);
    await door.close();
  });
  return { door, reports, start, recorded };
}
