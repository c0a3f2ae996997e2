/**
 * Events that wait out an outage on disk.
 *
 * A folder of segments, one event a line, written by append and fsync. The name of a segment says
 * who holds it; segments of nobody, or of programs that have ended, are anybody's: who renames one
 * first has it. A segment is unlinked once all of it is settled; who dies before that sends it
 * again, and an event sent twice is one row.
 */
import * as fs from "node:fs";
import * as files from "node:fs/promises";
import { join } from "node:path";

import { wordsOf } from "../errors.js";
import { newEventId } from "../events.js";
import { quietTimer, type Timer } from "../platform.js";
import { dataOf, readLines, type Line } from "../transport/lines.js";
import type { Segment, Spool, Stored } from "../transport/spool.js";
import { mayLive, newOwner, TOUCH_MILLISECONDS } from "./owners.js";

const SUFFIX = ".ndjson";
// Read as a whole when it is sent.
const SEGMENT_BYTES = 2 ** 20;
const NAME = /^([0-9a-f-]{36})(?:\.([0-9a-f]+-\d+-\d+-[0-9a-f]+))?\.ndjson$/;

interface Writing {
  readonly path: string;
  readonly descriptor: number;
}

export class DiskSpool implements Spool {
  failure = "";
  hasOthers = false;
  readonly #owner = newOwner();
  readonly #held = new Set<string>();
  #writing: Writing | null = null;
  #toucher: Timer | undefined;

  /**
   * @param place A folder; it is made where it is missing, and nobody else may read it.
   * @param maxBytes The size of all segments in it.
   * @param damaged Is told how many lines of a segment were no events.
   */
  constructor(
    readonly place: string,
    readonly maxBytes: number,
    readonly damaged: (count: number) => void,
  ) {}

  async append(lines: readonly Line[]): Promise<Stored> {
    const data = Buffer.from(dataOf(lines));
    try {
      if (this.#size() + data.byteLength > this.maxBytes) return "full";
      await appended(this.#writable(data.byteLength).descriptor, data);
      return "yes";
    } catch (error) {
      this.failure = wordsOf(error);
      await this.close();
      return "unusable";
    }
  }

  appendNow(lines: readonly Line[]): Stored {
    const data = Buffer.from(dataOf(lines));
    try {
      if (this.#size() + data.byteLength > this.maxBytes) return "full";
      const { descriptor } = this.#writable(data.byteLength);
      fs.writeSync(descriptor, data);
      fs.fsyncSync(descriptor);
      return "yes";
    } catch (error) {
      this.failure = wordsOf(error);
      return "unusable";
    }
  }

  async *segments(): AsyncGenerator<Segment> {
    await this.close();
    this.hasOthers = false;
    for (const name of this.#names()) {
      const path = this.#claimed(name);
      if (!path) continue;
      try {
        yield await this.#read(path);
      } catch (error) {
        this.failure = wordsOf(error);
      } finally {
        this.#release(path);
      }
    }
  }

  async close(): Promise<void> {
    if (!this.#writing) return;
    const { path, descriptor } = this.#writing;
    this.#writing = null;
    fs.closeSync(descriptor);
    this.#release(path);
  }

  async #read(path: string): Promise<Segment> {
    const { lines, damagedCount } = readLines(await files.readFile(path, "utf8"));
    if (damagedCount) this.damaged(damagedCount);
    return { lines, replace: (rest) => replaced(path, rest) };
  }

  /** The segment to append to, which somebody else may have taken for that of a dead program. */
  #writable(size: number): Writing {
    const writing = this.#writing;
    if (writing) {
      const isFull = fs.fstatSync(writing.descriptor).size + size > SEGMENT_BYTES;
      if (!isFull && isAt(writing)) return writing;
      fs.closeSync(writing.descriptor);
      this.#release(writing.path);
    }
    return (this.#writing = this.#create());
  }

  #create(): Writing {
    fs.mkdirSync(this.place, { recursive: true, mode: 0o700 });
    const path = join(this.place, `${newEventId()}.${this.#owner}${SUFFIX}`);
    const descriptor = fs.openSync(path, "ax", 0o600);
    this.#hold(path);
    syncFolder(this.place);
    return { path, descriptor };
  }

  /** The path under which a segment is ours, null where another program has it. */
  #claimed(name: string): string | null {
    const [, id, owner] = NAME.exec(name) ?? [];
    const path = join(this.place, name);
    if (owner && owner !== this.#owner && this.#mayLive(owner, path)) {
      this.hasOthers = true;
      return null;
    }
    const ours = join(this.place, `${id}.${this.#owner}${SUFFIX}`);
    try {
      fs.renameSync(path, ours);
    } catch {
      return null;
    }
    this.#hold(ours);
    return ours;
  }

  #mayLive(owner: string, path: string): boolean {
    try {
      return mayLive(owner, fs.statSync(path).mtimeMs, Date.now());
    } catch {
      return true;
    }
  }

  /** Segments of this folder, oldest first; one that is not there, or not readable, has none. */
  #names(): string[] {
    try {
      return fs
        .readdirSync(this.place)
        .filter((name) => NAME.test(name))
        .sort();
    } catch {
      return [];
    }
  }

  #size(): number {
    const sizes = this.#names().map((name) => {
      return fs.statSync(join(this.place, name), { throwIfNoEntry: false })?.size ?? 0;
    });
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  #hold(path: string): void {
    this.#held.add(path);
    this.#toucher ??= quietTimer(() => this.#touch(), TOUCH_MILLISECONDS);
  }

  /** Tell those who cannot see this process that it lives. */
  #touch(): void {
    const now = new Date();
    for (const path of this.#held) fs.utimes(path, now, now, () => undefined);
    this.#toucher = this.#held.size
      ? quietTimer(() => this.#touch(), TOUCH_MILLISECONDS)
      : undefined;
  }

  /** Let anybody have it; an empty one goes. */
  #release(path: string): void {
    this.#held.delete(path);
    const [, id] = NAME.exec(path.slice(this.place.length + 1)) ?? [];
    try {
      if (fs.statSync(path).size === 0) fs.unlinkSync(path);
      else fs.renameSync(path, join(this.place, `${id}${SUFFIX}`));
    } catch {
      // It is settled, or others have it.
    }
  }
}

/** Settled once `data` is on disk; where it is not, what was written of it is cut off again. */
async function appended(descriptor: number, data: Buffer): Promise<void> {
  const { size } = fs.fstatSync(descriptor);
  try {
    await written(descriptor, data);
    await synced(descriptor);
  } catch (error) {
    try {
      fs.ftruncateSync(descriptor, size);
    } catch {
      // The line that is torn is skipped by who reads it.
    }
    throw error;
  }
}

/** A write may take only a part, on a disk that is nearly full. */
function written(descriptor: number, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, data, (error, count) => {
      if (error) reject(error);
      else if (count === data.byteLength) resolve();
      else written(descriptor, data.subarray(count)).then(resolve, reject);
    });
  });
}

function synced(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fsync(descriptor, (error) => (error ? reject(error) : resolve()));
  });
}

/** None of `lines` is lost whenever the program dies. */
async function replaced(path: string, lines: readonly Line[]): Promise<void> {
  if (!lines.length) {
    await files.unlink(path);
    return;
  }
  const fresh = `${path}.new`;
  const file = await files.open(fresh, "w", 0o600);
  try {
    await file.writeFile(dataOf(lines));
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(fresh, path);
}

function isAt({ path, descriptor }: Writing): boolean {
  const found = fs.statSync(path, { throwIfNoEntry: false });
  return found?.ino === fs.fstatSync(descriptor).ino;
}

/** Without it a new file may be gone after a power cut. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const descriptor = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
