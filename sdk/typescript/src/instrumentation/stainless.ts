/**
 * Clients that Stainless generates: openai, @anthropic-ai/sdk, groq-sdk.
 *
 * Every call of theirs, whole or streamed, parsed or raw, goes through `makeRequest` of the client,
 * which its retries pass again: that one method is covered, of a class or of one client.
 */
import type { ContextFields } from "../context.js";
import { guarded } from "../guard.js";
import { apiOf, type Apis } from "../providers/apis.js";
import { ANTHROPIC_APIS, OPENAI_APIS } from "../providers/catalog.js";
import { providerAt } from "../providers/hosts.js";
import { at } from "../providers/reading.js";
import { shared } from "../shared.js";
import { current } from "../state.js";
import { observe } from "./exchange.js";
import { Observation } from "./observation.js";
import { askingUsage, mayAskUsage } from "./usage.js";

/** What a client sends, as its methods prepare it. */
interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly body?: unknown;
  readonly stream?: boolean;
}

export type MakeRequest = (
  this: StainlessClient,
  options: RequestOptions | Promise<RequestOptions>,
  retriesRemaining?: number | null,
  retryOf?: string,
  ...rest: unknown[]
) => Promise<{ readonly response: Response }>;

/** A client, or the prototype of a class of clients. */
export interface StainlessClient {
  makeRequest: MakeRequest;
  readonly messages?: unknown;
  readonly baseURL?: string;
  readonly apiVersion?: string;
  withOptions?: (...given: unknown[]) => StainlessClient;
}

/** Whether `client` is one of these, or the prototype of them. */
export function isStainless(client: object): client is StainlessClient {
  return typeof (client as Partial<StainlessClient>).makeRequest === "function";
}

interface Begun {
  readonly observation: Observation;
  readonly options: RequestOptions;
  readonly hidesUsage: boolean;
}

/** `makeRequest`, recorded. Takes and gives what `original` does. */
export function covered(original: MakeRequest, fields?: ContextFields): MakeRequest {
  return async function (given, retriesRemaining, retryOf, ...rest) {
    if (retryOf !== undefined || !shared().client) {
      return original.call(this, given, retriesRemaining, retryOf, ...rest);
    }
    const options = await given;
    const begun = guarded(() => begin(this, options, fields));
    try {
      const sent = begun?.options ?? options;
      const result = await original.call(this, sent, retriesRemaining, retryOf, ...rest);
      if (begun) guarded(() => take(begun, result.response));
      return result;
    } catch (error) {
      begun?.observation.end(error);
      throw error;
    }
  };
}

/** undefined where this is no call of a model, or nothing is recorded. */
function begin(
  client: StainlessClient,
  options: RequestOptions,
  fields: ContextFields | undefined,
): Begun | undefined {
  const api = options.method === "post" ? apiOf(apisOf(client), options.path ?? "") : undefined;
  if (!api || !current()) return undefined;
  const isStream = Boolean(options.stream);
  const otherwise = isAnthropic(client) ? "anthropic" : "openai";
  const providerName = providerAt(client.baseURL ?? "", otherwise);
  const { body } = options;
  const model = modelInForm(body);
  const observation = new Observation({ api, providerName, body, isStream, model, fields });
  const hidesUsage = isStream && mayAskUsage(api, providerName, body, versionOf(client));
  const sent = hidesUsage ? { ...options, body: askingUsage(body) } : options;
  return { observation, options: sent, hidesUsage };
}

/** Files are sent in forms. */
function modelInForm(body: unknown): string | undefined {
  const model = body instanceof FormData ? body.get("model") : null;
  return typeof model === "string" ? model : undefined;
}

function isAnthropic(client: StainlessClient): boolean {
  return typeof at(client, "messages", "create") === "function";
}

function apisOf(client: StainlessClient): Apis {
  return isAnthropic(client) ? ANTHROPIC_APIS : OPENAI_APIS;
}

/** Azure's, undefined for others. */
function versionOf(client: StainlessClient): string | undefined {
  return client.apiVersion ?? /[?&]api-version=([^&]+)/.exec(client.baseURL ?? "")?.[1];
}

function take({ observation, options, hidesUsage }: Begun, response: Response): void {
  observe(observation, response, Boolean(options.stream), hidesUsage);
}
