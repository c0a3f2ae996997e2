/** Clients of Google, Mistral, Cohere and Hugging Face: where the calls of each pass. */
import type { ContextFields } from "../context.js";
import { guarded } from "../guard.js";
import { COHERE_APIS, GOOGLE_APIS, HUGGING_FACE_APIS, MISTRAL_APIS } from "../providers/catalog.js";
import { providerAt } from "../providers/hosts.js";
import { at, objectOf } from "../providers/reading.js";
import { askedOf, exchanged, recordingFetch, type Library } from "./exchange.js";
import { hide } from "./members.js";

type Wrap = (client: object, fields: ContextFields | undefined) => boolean;
type Fetch = Parameters<typeof recordingFetch>[0];

/** Each says whether the client was one of its library, which it then covers. */
export const LIBRARIES: readonly Wrap[] = [wrapGoogle, wrapMistral, wrapCohere, wrapHuggingFace];

interface GoogleClient {
  readonly vertexai?: boolean;
  readonly apiClient: {
    apiCall(url: string, init: RequestInit, ...rest: unknown[]): Promise<Response>;
  };
}

/** @google/genai: `apiCall`, retries included. */
function wrapGoogle(client: object, fields: ContextFields | undefined): boolean {
  if (!has(client, "apiClient", "apiCall")) return false;
  const { apiClient, vertexai } = client as unknown as GoogleClient;
  const library: Library = {
    apis: GOOGLE_APIS,
    providerAt: (url) => providerAt(url, vertexai ? "gcp.vertex_ai" : "gcp.gemini"),
    modelIn: (url) => /\/models\/([^/:?]+):/.exec(url)?.[1],
    isStream: (url) => url.includes(":stream"),
    fields,
  };
  const original = apiClient.apiCall;
  hide(apiClient, "apiCall", (url: string, init: RequestInit, ...rest: unknown[]) => {
    const asked = guarded(() => askedOf(library, url, init.body));
    return exchanged(asked, () => original.call(apiClient, url, init, ...rest));
  });
  return true;
}

type Sent = { ok: true; value: Response } | { ok: false; error: unknown };
interface MistralPart {
  _do(request: Request, ...rest: unknown[]): Promise<Sent>;
}
const MISTRAL_PARTS = ["chat", "fim", "agents", "embeddings"];

/** @mistralai/mistralai: `_do` of the part that is asked, retries included. */
function wrapMistral(client: object, fields: ContextFields | undefined): boolean {
  const parts = MISTRAL_PARTS.filter((name) => has(client, name, "_do"));
  const library: Library = {
    apis: MISTRAL_APIS,
    providerAt: (url) => providerAt(url, "mistral_ai"),
    fields,
  };
  for (const name of parts) coverPart(at(client, name) as MistralPart, library);
  return parts.length > 0;
}

function coverPart(part: MistralPart, library: Library): void {
  const original = part._do;
  hide(part, "_do", async (request: Request, ...rest: unknown[]): Promise<Sent> => {
    const text = await textOf(request);
    const asked = guarded(() => askedOf(library, request.url, text));
    let sent: Sent | undefined;
    const send = async () => {
      sent = await original.call(part, request, ...rest);
      if (!sent.ok) throw sent.error;
      return sent.value;
    };
    try {
      await exchanged(asked, send);
    } catch (error) {
      // The library tells of a failure by its result.
      if (!sent) throw error;
    }
    return sent!;
  });
}

async function textOf(request: Request): Promise<string | undefined> {
  const copy = guarded(() => request.clone());
  return copy?.text().catch(() => undefined);
}

/** cohere-ai: its `fetch`, which each retry passes. */
function wrapCohere(client: object, fields: ContextFields | undefined): boolean {
  if (!has(client, "chatStream") || !has(client, "rerank")) return false;
  const library: Library = {
    apis: COHERE_APIS,
    providerAt: (url) => providerAt(url, "cohere"),
    fields,
  };
  const owners = [client, at(client, "client"), at(client, "clientV2"), at(client, "v2")];
  const options = new Set(owners.map((owner) => at(owner, "_options")).filter(objectOf));
  for (const each of options) coverFetch(each as { fetch?: Fetch }, library);
  return options.size > 0;
}

/** @huggingface/inference: its `fetch`, which each retry passes. */
function wrapHuggingFace(client: object, fields: ContextFields | undefined): boolean {
  if (!has(client, "chatCompletion") || !objectOf(at(client, "defaultOptions"))) return false;
  const library: Library = {
    apis: HUGGING_FACE_APIS,
    providerAt: (url) => providerAt(url, "hugging_face"),
    modelIn: (url) => /\/models\/([^?]+?)(?:\/pipeline|\/v1)?\/[^/]+$/.exec(url)?.[1],
    fields,
  };
  coverFetch(at(client, "defaultOptions") as { fetch?: Fetch }, library);
  return true;
}

function coverFetch(options: { fetch?: Fetch }, library: Library): void {
  options.fetch = recordingFetch(options.fetch, library);
}

/** Whether there is a method at this path. */
function has(client: object, ...path: readonly string[]): boolean {
  return typeof at(client, ...path) === "function";
}
