/** An exception inside the SDK never reaches the application. */
import { shared } from "./shared.js";

/** What `step` returns; undefined where it throws, which is reported once. */
export function guarded<Result>(step: () => Result): Result | undefined {
  try {
    return step();
  } catch (error) {
    shared().client?.losses.fail(error);
    return undefined;
  }
}
