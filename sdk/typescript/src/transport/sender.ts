/**
 * Takes batches from the queue and brings each event to an end.
 *
 * An event ends delivered, stored for the next start, or counted as lost. While the server is away
 * everything waits in the spool, or in the queue where there is none. What waits longest goes first.
 */
import { wordsOf } from "../errors.js";
import type { Event } from "../events.js";
import type { Losses } from "../losses.js";
import { MAX_BATCH_EVENTS, type Options } from "../options.js";
import { pauseSeconds, type Backoff } from "./backoff.js";
import { batches, bodyOf, lineOf, UnsendableError, type Line } from "./lines.js";
import type { EventQueue } from "./queue.js";
import type { Spool } from "./spool.js";
import { judge, type Answer, type Verdict } from "./verdicts.js";

// A disk that failed may be mended.
const SPOOL_RETRY_MILLISECONDS = 60_000;
// A program that held a segment may have ended.
const LOOK_AGAIN_MILLISECONDS = 60_000;

/** One attempt; never rejects. */
export type Post = (body: string) => Promise<Answer>;

type Limits = Pick<Options, "flushAt" | "maxBatchBytes" | "maxRetries" | "redact">;
type Watcher = { isTrue: () => boolean; resolve: () => void };

export class Sender {
  #held: Line[] = [];
  #failures = 0;
  #limitedFailures = 0;
  #resumeAt = 0;
  #spoolUsableAt = 0;
  #lookAgainAt = Number.POSITIVE_INFINITY;
  #finishBy = 0;
  #isWorking = true;
  #isRescued = false;
  // Left by another program, or this one before its restart.
  #hasSpooled: boolean;
  readonly #watchers = new Set<Watcher>();

  constructor(
    readonly options: Limits,
    readonly queue: EventQueue,
    readonly spool: Spool | null,
    readonly losses: Losses,
    readonly post: Post,
    readonly backoff: Backoff,
  ) {
    this.#hasSpooled = spool !== null;
  }

  /** Work until the queue is closed, then finish within the shutdown's time. */
  async run(): Promise<void> {
    while (!this.queue.isClosed) {
      this.#isWorking = true;
      await this.#guarded(() => this.#work());
      this.#noteRest();
      if (this.queue.isClosed) break;
      await this.queue.wait(this.#wakeAt(), !this.#isAway() || this.#canSpool());
    }
    this.#isWorking = true;
    await this.#guarded(() => this.#finish());
    this.#noteRest();
  }

  /** Let `run` end within so many seconds; `rescue` stores what is left. */
  close(seconds: number): void {
    this.#finishBy = performance.now() + seconds * 1000;
    this.queue.close();
  }

  /** Whether everything was delivered within `seconds`. */
  waitUntilIdle(seconds: number): Promise<boolean> {
    this.queue.hurry();
    return this.#waitUntil(() => this.#isIdle(), seconds);
  }

  /** Whether everything was delivered or stored within `seconds`. */
  waitUntilSafe(seconds: number): Promise<boolean> {
    this.queue.hurry();
    return this.#waitUntil(() => this.isSafe, seconds);
  }

  /** Whether nothing waits in memory. */
  get isSafe(): boolean {
    return !this.#isWorking && !this.#held.length && !this.queue.length;
  }

  /** Store what did not get done in time. */
  async rescue(): Promise<void> {
    for (const batch of this.#takeRest()) {
      if (!(await this.#stored(batch))) this.#lose(batch);
    }
    await this.spool?.close();
  }

  /** `rescue` where nothing can be awaited. */
  rescueNow(): void {
    for (const batch of this.#takeRest()) {
      const stored = this.#canSpool() ? this.spool?.appendNow?.(batch) : undefined;
      if (stored === "full") this.#loseToFullSpool(batch);
      else if (stored !== "yes") this.#lose(batch);
    }
  }

  /** A fault of ours may cost a batch, never the sender. */
  async #guarded(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.losses.fail(error);
      this.#held = this.#again(this.#held, { isLimited: true, detail: wordsOf(error) }, null);
    }
  }

  /** Send what waits; in an outage, store it. */
  async #work(): Promise<void> {
    if (!this.#isAway() && (await this.#sendSpooled()) && (await this.#sendQueued())) return;
    while (this.#canSpool() && this.#next(MAX_BATCH_EVENTS)) {
      if (await this.#stored(this.#held)) this.#held = [];
    }
  }

  /** Send the rest; what cannot be sent is left to `rescue`. */
  async #finish(): Promise<void> {
    while (performance.now() < this.#finishBy && !this.#isRescued) {
      if (!this.#isAway() && (await this.#sendQueued())) return;
      if (this.#canSpool() || this.#resumeAt > this.#finishBy) return;
      const pause = Math.max(this.#resumeAt - performance.now(), 0);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #isAway(): boolean {
    return performance.now() < this.#resumeAt;
  }

  #canSpool(): boolean {
    return this.spool !== null && performance.now() >= this.#spoolUsableAt;
  }

  #wakeAt(): number | null {
    if (this.#isAway() || this.#held.length || this.#hasSpooled) return this.#resumeAt;
    return Number.isFinite(this.#lookAgainAt) ? this.#lookAgainAt : null;
  }

  #isIdle(): boolean {
    return this.isSafe && !this.#hasSpooled;
  }

  #noteRest(): void {
    this.#isWorking = false;
    for (const watcher of this.#watchers) {
      if (watcher.isTrue()) watcher.resolve();
    }
  }

  async #waitUntil(isTrue: () => boolean, seconds: number): Promise<boolean> {
    if (isTrue()) return true;
    let watcher: Watcher | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      // Not a quiet one: a program that waits for us lives on.
      timer = setTimeout(resolve, seconds * 1000);
      watcher = { isTrue, resolve };
      this.#watchers.add(watcher);
    });
    clearTimeout(timer);
    this.#watchers.delete(watcher!);
    return isTrue();
  }

  /** Whether everything in the spool that nobody else holds is settled. */
  async #sendSpooled(): Promise<boolean> {
    const mustLook = this.#hasSpooled || performance.now() >= this.#lookAgainAt;
    if (!this.spool || !mustLook) return true;
    for await (const segment of this.spool.segments()) {
      const rest = await this.#send(segment.lines);
      await segment.replace(rest);
      if (rest.length || this.queue.isClosed) return false;
    }
    this.#hasSpooled = false;
    this.#lookAgainAt = this.spool.hasOthers
      ? performance.now() + LOOK_AGAIN_MILLISECONDS
      : Number.POSITIVE_INFINITY;
    return true;
  }

  /** Whether everything in memory is settled. */
  async #sendQueued(): Promise<boolean> {
    while (this.#next()) {
      const rest = await this.#send(this.#held);
      // What was under way when `rescue` came is stored.
      this.#held = this.#isRescued ? [] : rest;
      if (this.#held.length) return false;
    }
    return true;
  }

  /**
   * Whether there are lines: those that are held, or the next of the queue.
   *
   * They are held while they are under way, so that `rescue` finds them.
   */
  #next(count = this.options.flushAt): boolean {
    while (!this.#held.length && this.queue.length) {
      this.#held = this.#lines(this.queue.take(count));
    }
    return this.#held.length > 0;
  }

  #lines(events: readonly Event[]): Line[] {
    return events.map((event) => this.#line(event)).filter((line) => line !== null);
  }

  #line(event: Event): Line | null {
    try {
      return lineOf(event, this.options.redact);
    } catch (error) {
      if (!(error instanceof UnsendableError)) throw error;
      this.losses.count(error.reason, error.message);
      return null;
    }
  }

  /** The lines that are not settled: the first failure ends it. */
  async #send(lines: readonly Line[]): Promise<Line[]> {
    const parts = batches(lines, MAX_BATCH_EVENTS, this.options.maxBatchBytes);
    for (const [number, batch] of parts.entries()) {
      const again = await this.#attempt(batch);
      if (again.length) return [...again, ...parts.slice(number + 1).flat()];
    }
    return [];
  }

  async #attempt(batch: readonly Line[]): Promise<Line[]> {
    const answer = await this.post(bodyOf(batch));
    const ids = batch.map((line) => line.eventId);
    const verdict = judge(answer, ids, Date.now() / 1000);
    if (verdict.isSplit) return this.#attemptHalves(batch);
    for (const detail of verdict.dropped.values()) this.losses.count("rejected", detail);
    const again = verdict.again.map((index) => batch[index]!);
    return this.#again(again, verdict, answer.status);
  }

  async #attemptHalves(batch: readonly Line[]): Promise<Line[]> {
    const middle = Math.floor(batch.length / 2);
    const again = await this.#attempt(batch.slice(0, middle));
    const rest = batch.slice(middle);
    return again.length ? [...again, ...rest] : this.#attempt(rest);
  }

  #again(
    lines: Line[],
    verdict: Pick<Verdict, "isLimited" | "detail"> & Partial<Verdict>,
    status: number | null,
  ): Line[] {
    if (!lines.length) {
      this.#failures = this.#limitedFailures = 0;
      return [];
    }
    this.#failures += 1;
    this.#limitedFailures += verdict.isLimited ? 1 : 0;
    if (this.#limitedFailures > this.options.maxRetries) {
      this.#limitedFailures = 0;
      this.losses.count("retries_exhausted", verdict.detail, lines.length);
      return [];
    }
    if (status === 401 || status === 403) {
      this.losses.hold("unauthorized", verdict.detail, status);
    }
    const pause = pauseSeconds(this.backoff, this.#failures, verdict.retryAfterSeconds ?? null);
    this.#resumeAt = performance.now() + pause * 1000;
    return lines;
  }

  #takeRest(): Line[][] {
    const queued = this.queue.take(this.queue.length);
    const rest = [...this.#held, ...this.#lines(queued)];
    this.#held = [];
    this.#isRescued = this.queue.isClosed;
    return batches(rest, MAX_BATCH_EVENTS, this.options.maxBatchBytes);
  }

  /** Whether nothing is left to do for them. */
  async #stored(lines: readonly Line[]): Promise<boolean> {
    if (!this.spool || !this.#canSpool()) return false;
    const stored = await this.spool.append(lines);
    if (stored === "unusable") {
      this.#spoolUsableAt = performance.now() + SPOOL_RETRY_MILLISECONDS;
      this.losses.hold("spool_unusable", `${this.spool.failure}: events wait in memory`);
      return false;
    }
    if (stored === "full") this.#loseToFullSpool(lines);
    this.#hasSpooled = true;
    return true;
  }

  #loseToFullSpool(lines: readonly Line[]): void {
    this.losses.count("spool_full", `${this.spool?.place} holds maxSpoolBytes`, lines.length);
  }

  #lose(lines: readonly Line[]): void {
    this.losses.count("shutdown", "the process ended before they were sent", lines.length);
  }
}
