/** What every build has. */
export { Call, call, record, recorded, type RecordedOptions } from "./calls.js";
export { context, type ContextFields } from "./context.js";
export {
  HeldError,
  InternalError,
  LLMScopeError,
  LossError,
  OptionError,
  ReportedError,
} from "./errors.js";
export type { EventFields, ServiceTier, UsageSource } from "./events.js";
export type { GetToken, InitOptions, OnError, Redact } from "./options.js";
export { flush, losses, shutdown } from "./state.js";
export { VERSION } from "./version.js";
