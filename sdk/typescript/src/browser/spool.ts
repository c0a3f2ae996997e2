/**
 * Events that wait out an outage in the browser's database.
 *
 * A record is what was stored together. Several pages of one origin share it: who sends records
 * holds a lock on the database where the browser has locks; where it has none, a record may be sent
 * twice, and an event sent twice is one row.
 */
import { wordsOf } from "../errors.js";
import { dataOf, readLines, type Line } from "../transport/lines.js";
import type { Segment, Spool, Stored } from "../transport/spool.js";

const STORE = "segments";

interface Stock {
  readonly data: string;
  readonly size: number;
}

export class DatabaseSpool implements Spool {
  failure = "";
  hasOthers = false;
  #database: Promise<IDBDatabase> | null = null;

  /**
   * @param place Name of the database; it is made where it is missing.
   * @param maxBytes The size of all records in it.
   * @param damaged Is told how many lines of a record were no events.
   */
  constructor(
    readonly place: string,
    readonly maxBytes: number,
    readonly damaged: (count: number) => void,
  ) {}

  async append(lines: readonly Line[]): Promise<Stored> {
    const stock = stockOf(lines);
    try {
      const stocks = (await this.#ask((store) => store.getAll())) as Stock[];
      const size = stocks.reduce((sum, one) => sum + one.size, 0);
      if (size + stock.size > this.maxBytes) return "full";
      await this.#ask((store) => store.add(stock), "readwrite");
      return "yes";
    } catch (error) {
      this.failure = wordsOf(error);
      return "unusable";
    }
  }

  async *segments(): AsyncGenerator<Segment> {
    const unlock = await lock(this.place);
    this.hasOthers = !unlock;
    if (!unlock) return;
    try {
      for (const key of await this.#ask((store) => store.getAllKeys())) {
        const stock = (await this.#ask((store) => store.get(key))) as Stock | undefined;
        if (stock) yield this.#segment(key, stock);
      }
    } catch (error) {
      this.failure = wordsOf(error);
    } finally {
      unlock();
    }
  }

  async close(): Promise<void> {
    const database = await this.#database?.catch(() => null);
    this.#database = null;
    database?.close();
  }

  #segment(key: IDBValidKey, stock: Stock): Segment {
    const { lines, damagedCount } = readLines(stock.data);
    if (damagedCount) this.damaged(damagedCount);
    const replace = async (rest: readonly Line[]) => {
      if (rest.length) await this.#ask((store) => store.put(stockOf(rest), key), "readwrite");
      else await this.#ask((store) => store.delete(key), "readwrite");
    };
    return { lines, replace };
  }

  async #ask<Result>(
    question: (store: IDBObjectStore) => IDBRequest<Result>,
    mode: IDBTransactionMode = "readonly",
  ): Promise<Result> {
    this.#database ??= open(this.place);
    const transaction = (await this.#database).transaction(STORE, mode, { durability: "strict" });
    const request = question(transaction.objectStore(STORE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
      transaction.onerror = () => reject(transaction.error ?? request.error);
    });
    return request.result;
  }
}

function stockOf(lines: readonly Line[]): Stock {
  return { data: dataOf(lines), size: lines.reduce((sum, line) => sum + line.size + 1, 0) };
}

async function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { autoIncrement: true });
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("cannot be opened"));
    request.onblocked = () => reject(new Error("another page has it open"));
  });
}

/** What ends the lock, null where another page has it. */
async function lock(name: string): Promise<(() => void) | null> {
  const locks = (globalThis.navigator as Partial<Navigator> | undefined)?.locks;
  if (!locks) return () => undefined;
  return new Promise((resolve) => {
    const held = locks.request(name, { ifAvailable: true }, (granted) => {
      if (!granted) {
        resolve(null);
        return undefined;
      }
      return new Promise<void>((unlock) => resolve(unlock));
    });
    held.catch(() => resolve(null));
  });
}
