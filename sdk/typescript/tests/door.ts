/** A real HTTP server that takes events as LLMScope does, and misbehaves as a test wants. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

export const BATCH_PATH = "/api/v1/events/ingest/batch";

/** A status; "cut": close without an answer; "half": store, then cut the answer in the middle. */
export type Behaviour = number | "cut" | "half" | "hang";
export type Taken = Record<string, unknown> & { event_id: string };

export class Door {
  /** What was stored, by id and in order: an event that comes twice is one. */
  readonly events = new Map<string, Taken>();
  /** What to do with the next requests; afterwards all is well. */
  behaviours: Behaviour[] = [];
  /** Why an event is rejected, null where it is not. */
  rejects: (event: Taken) => string | null = () => null;
  /** How many events each request had. */
  readonly bodies: number[] = [];
  headers: IncomingMessage["headers"] = {};
  requestCount = 0;
  port = 0;
  #server: Server | null = null;

  static async opened(port = 0): Promise<Door> {
    const door = new Door();
    await door.open(port);
    return door;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async open(port = this.port): Promise<void> {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    const server = this.#server;
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  }

  get taken(): Taken[] {
    return [...this.events.values()];
  }

  async waitFor(count: number, seconds = 20): Promise<void> {
    const deadline = performance.now() + seconds * 1000;
    while (this.events.size < count) {
      assert.ok(performance.now() < deadline, `${this.events.size} of ${count} events came`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const sent = Buffer.concat(parts);
    const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent;
    this.headers = request.headers;
    this.requestCount += 1;
    const behaviour = this.behaviours.shift() ?? 202;
    if (behaviour === "hang") return;
    if (behaviour === "cut") {
      request.socket.destroy();
    } else if (behaviour !== 202 && behaviour !== "half") {
      respond(response, behaviour, { detail: "not now" });
    } else {
      assert.equal(request.url, BATCH_PATH);
      const told = this.#take(JSON.parse(body.toString()) as Taken[]);
      if (behaviour === "half") respondHalf(response, told);
      else respond(response, told.accepted.length ? 202 : 422, told);
    }
  }

  #take(events: Taken[]) {
    const accepted: string[] = [];
    const rejected: unknown[] = [];
    this.bodies.push(events.length);
    for (const [index, event] of events.entries()) {
      const reason = this.rejects(event);
      if (reason) {
        rejected.push({ index, field: "tags", reason });
        continue;
      }
      accepted.push(event.event_id);
      if (!this.events.has(event.event_id)) this.events.set(event.event_id, event);
    }
    return { accepted, rejected };
  }
}

function respond(response: ServerResponse, status: number, document: unknown): void {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (status === 429 || status === 503) headers["retry-after"] = "0";
  if (status === 301) headers["location"] = "/elsewhere";
  response.writeHead(status, headers).end(JSON.stringify(document));
}

function respondHalf(response: ServerResponse, document: unknown): void {
  const text = JSON.stringify(document);
  response.writeHead(202, { "content-length": String(text.length) });
  response.write(text.slice(0, text.length / 2), () => response.socket?.destroy());
}
