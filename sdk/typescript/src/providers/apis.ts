/** Which requests are calls of a model, and how their answers are read. */
import type { EventFields } from "../events.js";
import { objectOf, textAt, type Json } from "./reading.js";

type Messages = (json: Json) => readonly unknown[] | undefined;

/** Puts the events of a stream together to one answer. */
export interface StreamReader {
  readonly response: Json;
  readonly isFinal: boolean;
  /** One event, in order. */
  add(event: string, data: Json): void;
}

/** One kind of call; `asksUsage`: whether its streams report usage only when asked to. */
export interface Api {
  readonly operationName: string;
  readonly read: (response: Json, isFinal: boolean) => EventFields;
  readonly stream: new () => StreamReader;
  readonly inputMessages: Messages;
  readonly outputMessages: Messages;
  readonly asksUsage?: boolean;
}

/** Calls of a model by the ending of their path. */
export type Apis = Readonly<Record<string, Api>>;

/**
 * What a request to `url`, or to a path, calls; undefined where it is no call of a model.
 *
 * The longest ending of the path counts: versions, deployments and vendors come before it.
 */
export function apiOf(apis: Apis, url: string): Api | undefined {
  const path = `/${pathOf(url).replace(/^\//, "")}`;
  for (let at = 0; at < path.length; at += 1) {
    const isStart = path[at] === "/" || path[at] === ":";
    const ending = isStart ? path.slice(at) : "";
    if (ending && Object.hasOwn(apis, ending)) return apis[ending];
  }
  return undefined;
}

/** The path of an address, without what follows it. */
export function pathOf(url: string): string {
  return url.replace(/^[a-z]+:\/\/[^/?#]*/i, "").replace(/[?#].*$/s, "");
}

/** Fields of the event of an answer; without one, nobody counted. */
export function answerFields(
  api: Api,
  response: Json | undefined,
  isFinal: boolean,
  hasContent: boolean,
): EventFields {
  if (!response) return { usage_source: "missing" };
  const fields: EventFields = { ...api.read(response, isFinal), ...failureIn(response) };
  if (hasContent) fields.output_messages = api.outputMessages(response);
  return fields;
}

/** What the body of a refused call says. */
export function messageIn(refusal: Json): string | undefined {
  const said = failureIn(refusal).error_message;
  return said || textAt(refusal, "message") || textAt(refusal, "detail");
}

/** An answer may be a failure behind a status of 200. */
function failureIn(response: Json): EventFields {
  const error = response["error"];
  if (!error) return {};
  const about = objectOf(error);
  if (!about) return { error_type: "error", error_message: String(error) };
  const kind = about["type"] || about["code"] || "error";
  return { error_type: String(kind), error_message: String(about["message"] || "") };
}
