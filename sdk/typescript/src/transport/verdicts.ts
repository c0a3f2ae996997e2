/**
 * Pure: what the server answered -> what becomes of each event of the batch.
 *
 * `sdk/contract/cases/retries.json` is this table for every SDK.
 */

// The server is away or wants a pause, or the key is to be mended: no fault of the batch.
const WAIT_STATUSES: ReadonlySet<number> = new Set([401, 403, 408, 425, 429, 502, 503, 504]);
// May lie in this batch, so that the others must not wait behind it for ever.
const LIMITED_STATUSES: ReadonlySet<number> = new Set([404, 500]);
const SPLIT_STATUSES: ReadonlySet<number> = new Set([400, 413, 422]);
// A quota ends with the day.
const MAX_RETRY_AFTER_SECONDS = 24 * 3600;

/** What one attempt came to. */
export interface Answer {
  /** null where no whole answer came. */
  readonly status: number | null;
  readonly body?: string;
  readonly retryAfter?: string | null;
  /** What went wrong on the way, in words. */
  readonly failure?: string;
}

/** What to do now. */
export interface Verdict {
  /** Indexes of the events to send again, later. */
  readonly again: readonly number[];
  /** Reason in words of each event that the server will never take, by index. */
  readonly dropped: ReadonlyMap<number, string>;
  /** Send each half by itself, now. */
  readonly isSplit: boolean;
  /** Whether sending again counts against `maxRetries`. */
  readonly isLimited: boolean;
  /** The pause that the server asked for. */
  readonly retryAfterSeconds: number | null;
  /** The answer in words. */
  readonly detail: string;
}

const SETTLED: Verdict = {
  again: [],
  dropped: new Map(),
  isSplit: false,
  isLimited: false,
  retryAfterSeconds: null,
  detail: "",
};

/** The verdict on a batch. `now` is in seconds since 1970, for a `Retry-After` with a date. */
export function judge(answer: Answer, eventIds: readonly string[], now: number): Verdict {
  const everything = [...eventIds.keys()];
  const { status } = answer;
  const document = documentOf(answer.body);
  const detail = wordsOf(answer, document);
  if (status === null || WAIT_STATUSES.has(status) || LIMITED_STATUSES.has(status)) {
    return {
      ...SETTLED,
      again: everything,
      isLimited: status !== null && LIMITED_STATUSES.has(status),
      retryAfterSeconds: secondsOf(answer.retryAfter, now),
      detail,
    };
  }
  if (status === 202 || (status === 422 && "rejected" in document)) {
    return judgeEach(document, eventIds, detail);
  }
  if (status >= 200 && status < 300) {
    const words = `${detail}: no answer of LLMScope`;
    return { ...SETTLED, again: everything, isLimited: true, detail: words };
  }
  if (SPLIT_STATUSES.has(status) && eventIds.length > 1) {
    return { ...SETTLED, isSplit: true, detail };
  }
  return { ...SETTLED, dropped: new Map(everything.map((index) => [index, detail])), detail };
}

type Document = Readonly<Record<string, unknown>>;

/** Who is named neither as accepted nor as rejected is sent again. */
function judgeEach(document: Document, eventIds: readonly string[], detail: string): Verdict {
  const accepted = new Set(listOf(document["accepted"]));
  const dropped = new Map<number, string>();
  for (const line of listOf(document["rejected"])) {
    const { index, field, reason } = (line ?? {}) as Document;
    if (Number.isInteger(index)) dropped.set(Number(index), `${field}: ${reason}`);
  }
  const again = [...eventIds.keys()].filter(
    (index) => !accepted.has(eventIds[index]) && !dropped.has(index),
  );
  return { ...SETTLED, again, dropped, isLimited: true, detail };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function documentOf(body: string | undefined): Document {
  try {
    const document: unknown = JSON.parse(body ?? "");
    const isObject = typeof document === "object" && document !== null;
    return isObject && !Array.isArray(document) ? (document as Document) : {};
  } catch {
    return {};
  }
}

function wordsOf(answer: Answer, document: Document): string {
  if (answer.status === null) return answer.failure ?? "";
  return `HTTP ${answer.status} ${document["detail"] ?? document["title"] ?? ""}`.trim();
}

function secondsOf(retryAfter: string | null | undefined, now: number): number | null {
  if (!retryAfter?.trim()) return null;
  const number = Number(retryAfter);
  const seconds = Number.isNaN(number) ? Date.parse(retryAfter) / 1000 - now : number;
  return Number.isNaN(seconds) ? null : Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER_SECONDS);
}
