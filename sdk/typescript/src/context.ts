/**
 * What belongs to every call of a stretch of code: user, conversation, tags, environment.
 *
 * Where the platform has an AsyncLocalStorage, a context holds for everything that the function
 * starts. Elsewhere it holds until the function awaits: give the fields to `record`, `call` or
 * `wrap` there.
 */
import type { EventFields } from "./events.js";
import { shared } from "./shared.js";

export type ContextFields = Pick<
  EventFields,
  "user_id" | "conversation_id" | "environment" | "service_name" | "tags"
>;

/** Where the fields of the current context are kept. */
export interface ContextStore {
  get(): ContextFields | undefined;
  run<Result>(fields: ContextFields, body: () => Result): Result;
}

/** Put these on every event of the calls inside; inner contexts win, tags are joined. */
export function context<Result>(fields: ContextFields, body: () => Result): Result {
  return shared().contextStore.run(joined(currentFields(), fields), body);
}

/** The fields of the context that holds here. */
export function currentFields(): ContextFields {
  return shared().contextStore.get() ?? {};
}

/** `inner` over `outer`, with the tags of both. */
export function joined(outer: EventFields, inner: EventFields): EventFields {
  const both: Record<string, unknown> = { ...outer };
  for (const name in inner) {
    const value = inner[name as keyof EventFields];
    if (value !== undefined && value !== null) both[name] = value;
  }
  if (outer.tags && inner.tags) both["tags"] = { ...outer.tags, ...inner.tags };
  return both;
}
