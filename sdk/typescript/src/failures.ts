/** Pure: what was thrown -> how the event names the failure. */
import type { EventFields } from "./events.js";

/** What an exception says of the failure: its status is the class, else its name. */
export function failureFields(error: unknown): EventFields {
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (status === null) return { error_type: typeOf(error), error_message: message };
  return { error_type: String(status), error_message: message, http_status_code: status };
}

function statusOf(error: unknown): number | null {
  const members = (error ?? {}) as { status?: unknown; statusCode?: unknown };
  const status = members.status ?? members.statusCode;
  const isStatus = Number.isInteger(status) && Number(status) >= 100 && Number(status) <= 599;
  return isStatus ? Number(status) : null;
}

function typeOf(error: unknown): string {
  const name = error instanceof Error ? error.name : typeof error;
  const names = `${name} ${error instanceof Error ? error.constructor.name : ""}`;
  if (/timeout/i.test(names)) return "timeout";
  if (isAbort(error)) return "cancelled";
  return name === "Error" && error instanceof Error ? error.constructor.name : name;
}

/** Whether somebody ended the request on purpose. */
export function isAbort(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /Abort/.test(error.name) || /Abort/.test(error.constructor.name);
}
