/** Records every call of one client, or of all clients of a class. */
import type { ContextFields } from "../context.js";
import { OptionError } from "../errors.js";
import { LIBRARIES } from "./libraries.js";
import { hide } from "./members.js";
import { covered, isStainless, type MakeRequest, type StainlessClient } from "./stainless.js";
import { isLanguageModel, wrapModel } from "./vercel.js";

const WRAPPED = Symbol.for("@llmscope/sdk wrapped");
const originals = new Map<StainlessClient, MakeRequest>();

/** A class of clients, such as `OpenAI`. */
export type ClientClass = abstract new (...given: never[]) => object;

/**
 * Record every call of one client, and return it. So do the clients that its `withOptions` makes.
 *
 * @param fields Put on the event of each call, as `context` does.
 * @throws OptionError it is no client that llmscope knows.
 */
export function wrap<Client extends object>(client: Client, fields?: ContextFields): Client {
  if (WRAPPED in client) return client;
  if (isStainless(client)) wrapStainless(client, fields);
  else if (isLanguageModel(client)) wrapModel(client, fields);
  else if (!LIBRARIES.some((wrapAs) => wrapAs(client, fields))) {
    throw unknown("client", client.constructor?.name);
  }
  hide(client, WRAPPED, true);
  return client;
}

/**
 * Record every call of all clients of these classes, those that exist already too.
 *
 * @throws OptionError it is no class of clients that llmscope knows.
 */
export function instrument(...classes: readonly ClientClass[]): void {
  for (const one of classes) {
    const prototype = one.prototype as object;
    if (!isStainless(prototype)) throw unknown("classes", one.name);
    cover(prototype);
  }
}

/** Put back what `instrument` covered; wrapped clients stay wrapped. */
export function uninstrument(): void {
  for (const [prototype, original] of originals) prototype.makeRequest = original;
  originals.clear();
}

function unknown(option: string, name: string | undefined): OptionError {
  return new OptionError(option, `${name ?? "it"} is nothing that llmscope knows`);
}

function cover(prototype: StainlessClient): void {
  const owner = ownerOf(prototype);
  if (originals.has(owner)) return;
  originals.set(owner, owner.makeRequest);
  owner.makeRequest = covered(owner.makeRequest);
}

/** Who has the method: Azure's class, for one, has it from OpenAI's. */
function ownerOf(prototype: StainlessClient): StainlessClient {
  let owner: StainlessClient = prototype;
  while (!Object.hasOwn(owner, "makeRequest")) owner = Object.getPrototypeOf(owner);
  return owner;
}

function wrapStainless(client: StainlessClient, fields: ContextFields | undefined): void {
  const owner = ownerOf(client);
  hide(client, "makeRequest", covered(originals.get(owner) ?? client.makeRequest, fields));
  const { withOptions } = client;
  if (!withOptions) return;
  hide(client, "withOptions", (...given: unknown[]) => {
    return wrap(withOptions.apply(client, given), fields);
  });
}
