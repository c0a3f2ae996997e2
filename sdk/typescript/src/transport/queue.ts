/** The bounded queue between the application and the sender. */
import type { Event } from "../events.js";
import { quietTimer, type Timer } from "../platform.js";

/** Never waits for the network or the disk. */
export class EventQueue {
  isClosed = false;
  #events: Event[] = [];
  // Those before it are taken; shifting each would move all others.
  #head = 0;
  #oldestAt = 0;
  #isUrgent = false;
  #timer: Timer | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;
  #armedFor = Number.POSITIVE_INFINITY;
  #wake: (() => void) | null = null;
  #heedsEvents = false;
  readonly #flushAt: number;

  /**
   * @param maxSize Events that it holds.
   * @param flushAt So many wake the sender.
   * @param intervalSeconds The longest that the oldest waits.
   * @param dropsOldest Whether a full queue loses its oldest event instead of the new one.
   */
  constructor(
    readonly maxSize: number,
    flushAt: number,
    readonly intervalSeconds: number,
    readonly dropsOldest: boolean,
  ) {
    this.#flushAt = Math.min(flushAt, maxSize);
  }

  get length(): number {
    return this.#events.length - this.#head;
  }

  /** Add an event; whether every event that was in still is, and this one too. */
  put(event: Event): boolean {
    const isFull = this.length >= this.maxSize;
    if (this.isClosed || (isFull && !this.dropsOldest)) return false;
    if (isFull) this.take(1);
    this.#events.push(event);
    if (this.length === 1) this.#oldestAt = performance.now();
    const count = this.length;
    if (this.#wake && (count === 1 || count >= this.#flushAt)) this.#arm();
    return !isFull;
  }

  /** Up to `count` of the oldest events. */
  take(count: number): Event[] {
    const taken = this.#events.slice(this.#head, this.#head + count);
    this.#head += taken.length;
    if (this.#head === this.#events.length || this.#head > this.maxSize) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
    this.#oldestAt = performance.now();
    return taken;
  }

  /** End the sender's wait. */
  hurry(): void {
    this.#isUrgent = true;
    this.#wake?.();
  }

  /** Take no more events, and end the sender's wait. */
  close(): void {
    this.isClosed = true;
    this.hurry();
  }

  /** Settled once a batch is due, somebody is in a hurry, or at `wakeAt` (`performance.now`). */
  async wait(wakeAt: number | null, heedsEvents: boolean): Promise<void> {
    this.#wakeAt = wakeAt ?? Number.POSITIVE_INFINITY;
    this.#heedsEvents = heedsEvents;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#arm();
    });
    clearTimeout(this.#timer);
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#wake = null;
    this.#isUrgent = false;
  }

  /** Wake the sender now where there is reason to, else when there will be. */
  #arm(): void {
    const isFull = this.#heedsEvents && this.length >= this.#flushAt;
    const at = Math.min(this.#wakeAt, this.#dueAt());
    const wait = Math.ceil(at - performance.now());
    if (this.#isUrgent || isFull || wait <= 0) this.#wake?.();
    else if (at < this.#armedFor) {
      clearTimeout(this.#timer);
      this.#armedFor = at;
      this.#timer = quietTimer(() => this.#wake?.(), wait);
    }
  }

  #dueAt(): number {
    const isDue = this.#heedsEvents && this.length > 0;
    return isDue ? this.#oldestAt + this.intervalSeconds * 1000 : Number.POSITIVE_INFINITY;
  }
}
