/** The options of `init`: argument, then environment, then default. */
import { OptionError, type ReportedError } from "./errors.js";
import type { EventFields } from "./events.js";

/** What the server takes in one request. */
export const MAX_BATCH_EVENTS = 1_000;
const MAX_BATCH_BYTES = 5 * 2 ** 20;
const WHEN_FULL = ["drop_newest", "drop_oldest"] as const;
const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  "1": true,
  yes: true,
  false: false,
  "0": false,
  no: false,
};

export type Redact = (event: EventFields) => EventFields | null;
export type OnError = (error: ReportedError) => void;
export type GetToken = () => string | Promise<string>;

/** What `init` has made of its arguments, the environment and the defaults. */
export interface Options {
  /** Key with the scope `ingest`. Required. */
  readonly apiKey: string;
  /** Fetches a short-lived token, instead of `apiKey`: for browsers. */
  readonly getToken: GetToken | null;
  /** Address of LLMScope. Default: `http://127.0.0.1:8400`. */
  readonly url: string;
  /** Deployment environment of each event, such as `production`. */
  readonly environment: string;
  /** The application that makes the calls. */
  readonly serviceName: string;
  /** Whether anything is recorded at all. Default: true. */
  readonly isEnabled: boolean;
  /** A batch is sent once so many events wait. Default: 100 events. */
  readonly flushAt: number;
  /** The longest that an event waits for its batch. Default: 0.5 seconds. */
  readonly flushIntervalSeconds: number;
  /** A batch holds at most so many bytes of JSON. Default: 1 MiB. */
  readonly maxBatchBytes: number;
  /** Events held in memory; see `whenFull`. Default: 10,000 events. */
  readonly maxQueueSize: number;
  /** Which event is lost when the queue is full. Default: `drop_newest`. */
  readonly whenFull: (typeof WHEN_FULL)[number];
  /** Retries of a batch that may be at fault itself. Default: 5 retries. */
  readonly maxRetries: number;
  /** How long one request may wait for the server. Default: 10 seconds. */
  readonly timeoutSeconds: number;
  /** How long the end of the process may wait for the last events. Default: 5 seconds. */
  readonly shutdownTimeoutSeconds: number;
  /** Where events wait out an outage; `off` for memory only. */
  readonly spoolDirectory: string;
  /** The spool's size; further events are lost. Default: 64 MiB. */
  readonly maxSpoolBytes: number;
  /** Whether prompts and completions are recorded. Default: false. */
  readonly captureContent: boolean;
  /** Whether OpenAI's streams are asked for `stream_options.include_usage`. Default: true. */
  readonly asksForStreamUsage: boolean;
  /** Takes each event before it leaves the process; returns it, changed, or null. */
  readonly redact: Redact | null;
  /** Is told of each reason of loss or trouble, once. Default: a line on the console. */
  readonly onError: OnError | null;
}

/** What `init` takes; what is left out comes from the environment, else is the default. */
export type InitOptions = { [Name in keyof Options]?: Options[Name] | undefined };

interface Description {
  readonly default: string | number | boolean | null;
  readonly about: string;
  readonly unit?: string;
  readonly limits?: readonly [number, number];
  readonly isInteger?: boolean;
}

/** Each option; README.md holds the table, and a test compares the two. */
export const OPTIONS: Readonly<Record<keyof Options, Description>> = {
  apiKey: { default: "", about: "Key with the scope `ingest`. Required." },
  getToken: {
    default: null,
    about: "Fetches a short-lived token, instead of `apiKey`: for browsers.",
  },
  url: { default: "http://127.0.0.1:8400", about: "Address of LLMScope.", unit: "URL" },
  environment: {
    default: "",
    about: "Deployment environment of each event, such as `production`.",
  },
  serviceName: { default: "", about: "The application that makes the calls." },
  isEnabled: { default: true, about: "Whether anything is recorded at all." },
  flushAt: {
    default: 100,
    about: "A batch is sent once so many events wait.",
    unit: "events",
    limits: [1, MAX_BATCH_EVENTS],
    isInteger: true,
  },
  flushIntervalSeconds: {
    default: 0.5,
    about: "The longest that an event waits for its batch.",
    unit: "seconds",
    limits: [0.01, 3600],
  },
  maxBatchBytes: {
    default: 2 ** 20,
    about: "A batch holds at most so many bytes of JSON.",
    unit: "bytes",
    limits: [2 ** 10, MAX_BATCH_BYTES],
    isInteger: true,
  },
  maxQueueSize: {
    default: 10_000,
    about: "Events held in memory; see `whenFull`.",
    unit: "events",
    limits: [1, 10_000_000],
    isInteger: true,
  },
  whenFull: {
    default: "drop_newest",
    about: "Which event is lost when the queue is full: `drop_newest`, `drop_oldest`.",
  },
  maxRetries: {
    default: 5,
    about: "Retries of a batch that may be at fault itself. Outages are retried until they end.",
    unit: "retries",
    limits: [0, 100],
    isInteger: true,
  },
  timeoutSeconds: {
    default: 10,
    about: "How long one request may wait for the server.",
    unit: "seconds",
    limits: [0.1, 600],
  },
  shutdownTimeoutSeconds: {
    default: 5,
    about: "How long the end of the process may wait for the last events.",
    unit: "seconds",
    limits: [0, 600],
  },
  spoolDirectory: {
    default: "~/.local/state/llmscope/spool",
    about: "Where events wait out an outage; `off` for memory only.",
  },
  maxSpoolBytes: {
    default: 64 * 2 ** 20,
    about: "The spool's size; further events are lost.",
    unit: "bytes",
    limits: [2 ** 16, 2 ** 40],
    isInteger: true,
  },
  captureContent: { default: false, about: "Whether prompts and completions are recorded." },
  asksForStreamUsage: {
    default: true,
    about: "Whether OpenAI's streams are asked for `stream_options.include_usage`.",
  },
  redact: {
    default: null,
    about: "Takes each event before it leaves the process; returns it, changed, or null.",
  },
  onError: {
    default: null,
    about: "Is told of each reason of loss or trouble, once. Default: a line on the console.",
  },
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The options that hold; an argument of undefined or null counts as left out.
 *
 * @throws OptionError one cannot be used.
 */
export function resolve(given: InitOptions, environment: Environment): Options {
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(OPTIONS)) {
    let value: unknown = given[name as keyof Options];
    if (value === undefined || value === null) {
      value = option.default === null ? undefined : environment[variableOf(name)];
    }
    const isLeftOut = value === undefined || value === null || value === "";
    values[name] = isLeftOut ? option.default : typed(name, value, option);
  }
  // Every name of `OPTIONS` was set, each by its own type.
  const options = values as unknown as Options;
  check(options);
  return options;
}

/** The environment variable of an option; functions have none. */
export function variableOf(option: string): string {
  return `LLMSCOPE_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function typed(name: string, value: unknown, option: Description): unknown {
  if (option.default === null) {
    if (typeof value !== "function") throw new OptionError(name, "must be a function");
    return value;
  }
  if (typeof option.default === "boolean") return truth(name, value);
  if (typeof option.default === "string") return String(value).trim();
  return numberOf(name, value, option);
}

function truth(name: string, value: unknown): boolean {
  const word = WORDS[String(value).trim().toLowerCase()];
  if (word === undefined) {
    throw new OptionError(name, `must be true or false, is "${value}" (${variableOf(name)})`);
  }
  return word;
}

function numberOf(name: string, value: unknown, option: Description): number {
  const number = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
  const [lowest, highest] = option.limits ?? [0, Number.MAX_SAFE_INTEGER];
  const isWhole = !option.isInteger || Number.isInteger(number);
  if (!isWhole || !(number >= lowest && number <= highest)) {
    const range = `${lowest} to ${highest} ${option.unit ?? ""}`;
    throw new OptionError(name, `must be ${range}, is "${value}" (${variableOf(name)})`);
  }
  return number;
}

function check(options: Options): void {
  if (!WHEN_FULL.includes(options.whenFull)) {
    throw new OptionError("whenFull", `must be one of ${WHEN_FULL.join(", ")}`);
  }
  if (!isHttpAddress(options.url)) {
    throw new OptionError("url", `must be an address like https://host, is "${options.url}"`);
  }
  if (options.isEnabled && !options.apiKey && !options.getToken) {
    throw new OptionError(
      "apiKey",
      "is missing: set LLMSCOPE_API_KEY, or LLMSCOPE_IS_ENABLED=false",
    );
  }
}

function isHttpAddress(text: string): boolean {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) && url.hostname !== "";
  } catch {
    return false;
  }
}
