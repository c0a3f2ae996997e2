/** A request and its response, as a library sends and reads them. */
import { guarded } from "../guard.js";
import { apiOf, type Apis } from "../providers/apis.js";
import type { ContextFields } from "../context.js";
import { current } from "../state.js";
import { Observation, parsed, type Asked } from "./observation.js";
import { BodyObserver, StreamObserver } from "./observers.js";
import { askingUsage, mayAskUsage } from "./usage.js";
import { watch } from "./watching.js";

/** What of a client library has to be known. */
export interface Library {
  readonly apis: Apis;
  /** Who answers at an address. */
  readonly providerAt: (url: string) => string;
  /** Where the address has what others have in the body. */
  readonly modelIn?: (url: string) => string | undefined;
  readonly isStream?: (url: string) => boolean;
  readonly fields?: ContextFields | undefined;
}

/** What a request asks; undefined where it is no call of a model, or nothing is recorded. */
export function askedOf(library: Library, url: string, text: unknown): Asked | undefined {
  const api = apiOf(library.apis, url);
  if (!api || !current()) return undefined;
  const body = typeof text === "string" ? parsed(text) : undefined;
  const isStream = library.isStream?.(url) ?? Boolean(body?.["stream"]);
  const model = library.modelIn?.(url);
  const { fields } = library;
  return { api, providerName: library.providerAt(url), body, isStream, model, fields };
}

/** What `send` gives, recorded where it answers a call of a model. */
export async function exchanged(
  asked: Asked | undefined,
  send: () => Promise<Response>,
  hidesUsage = false,
): Promise<Response> {
  const observation = asked && guarded(() => new Observation(asked));
  if (!asked || !observation) return send();
  let response: Response;
  try {
    response = await send();
  } catch (error) {
    observation.end(error);
    throw error;
  }
  guarded(() => observe(observation, response, asked.isStream, hidesUsage));
  return response;
}

/** See what comes of an answer whose head is here. */
export function observe(
  observation: Observation,
  response: Response,
  isStream: boolean,
  hidesUsage: boolean,
): void {
  observation.status(response.status);
  const type = response.headers.get("content-type") ?? "";
  const observer =
    isStream && response.status < 400
      ? new StreamObserver(observation, type, hidesUsage)
      : new BodyObserver(observation, response.status);
  watch(response, observer);
}

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** `fetch` of a library that sends text by it, recorded. */
export function recordingFetch(original: Fetch | undefined, library: Library): Fetch {
  return async (input, init) => {
    const send = (given = init) => (original ?? globalThis.fetch)(input, given);
    const url = typeof input === "string" || input instanceof URL ? String(input) : input.url;
    const asked = guarded(() => askedOf(library, url, init?.body));
    const hidesUsage = Boolean(
      asked?.isStream && mayAskUsage(asked.api, asked.providerName, asked.body),
    );
    if (!hidesUsage) return exchanged(asked, () => send());
    const body = JSON.stringify(askingUsage(asked!.body));
    return exchanged(asked, () => send({ ...init, body }), true);
  };
}
