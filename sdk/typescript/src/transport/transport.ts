/** Queue, sender, delivery and spool of one program. */
import type { Event } from "../events.js";
import type { Losses } from "../losses.js";
import type { Options } from "../options.js";
import type { Platform } from "../platform.js";
import type { Backoff } from "./backoff.js";
import { Delivery } from "./delivery.js";
import { EventQueue } from "./queue.js";
import { Sender } from "./sender.js";

/** Brings events to the server. */
export class Transport {
  readonly #queue: EventQueue;
  readonly #delivery: Delivery;
  readonly #sender: Sender;
  #running: Promise<void> | null = null;
  #hasSettled = false;

  constructor(
    readonly options: Options,
    readonly losses: Losses,
    platform: Platform,
    backoff: Backoff,
  ) {
    const damaged = (count: number) => {
      losses.count("spool_damaged", "lines of the spool are no events", count);
    };
    const spool = options.isEnabled ? platform.spool(options, damaged) : null;
    this.#queue = new EventQueue(
      options.maxQueueSize,
      options.flushAt,
      options.flushIntervalSeconds,
      options.whenFull === "drop_oldest",
    );
    this.#delivery = new Delivery(options, platform.outlivesPage);
    const post = (body: string) => this.#delivery.send(body);
    this.#sender = new Sender(options, this.#queue, spool, losses, post, backoff);
    if (spool) this.#start();
  }

  /** Take an event along; it is counted as lost where the queue is full. */
  put(event: Event): void {
    if (!this.#running) this.#start();
    this.#hasSettled = false;
    if (!this.#queue.put(event)) {
      const reason = this.#queue.isClosed ? "shutdown" : "queue_full";
      this.losses.count(reason, `${this.#queue.length} events wait`);
    }
  }

  /** Whether everything was delivered within `timeoutSeconds`. */
  async flush(timeoutSeconds = this.options.timeoutSeconds): Promise<boolean> {
    return this.#running ? this.#sender.waitUntilIdle(timeoutSeconds) : true;
  }

  /** Send what waits within `timeoutSeconds`, store the rest, and end. */
  async shutdown(timeoutSeconds = this.options.shutdownTimeoutSeconds): Promise<void> {
    this.#sender.close(timeoutSeconds);
    if (this.#running) await within(this.#running, timeoutSeconds);
    await this.#sender.rescue();
    this.#delivery.interrupt();
  }

  /** The program has nothing left to do: send or store what waits, once. */
  async settle(): Promise<void> {
    if (this.#hasSettled || !this.#running || this.#sender.isSafe) return;
    this.#hasSettled = true;
    const isSafe = await this.#sender.waitUntilSafe(this.options.shutdownTimeoutSeconds);
    // An answer that does not come would keep the program alive.
    if (!isSafe) this.#delivery.interrupt();
  }

  /** The program ends now. */
  rescueNow(): void {
    this.#queue.close();
    this.#sender.rescueNow();
  }

  #start(): void {
    this.#running = this.#sender.run().catch((error: unknown) => this.losses.fail(error));
  }
}

async function within(work: Promise<void>, seconds: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000);
  });
  await Promise.race([work, end]);
  clearTimeout(timer);
}
