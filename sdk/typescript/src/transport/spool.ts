/** Where events wait out an outage, whatever the platform keeps them in. */
import type { Line } from "./lines.js";

/** What became of an append. */
export type Stored = "yes" | "full" | "unusable";

/** Lines that were stored together, held by this program until the next are asked for. */
export interface Segment {
  readonly lines: readonly Line[];
  /** Keep only `lines`, none of them lost whenever the program dies. */
  replace(lines: readonly Line[]): Promise<void>;
}

export interface Spool {
  /** Where it lies, in words. */
  readonly place: string;
  /** Why the last append was not possible, in words. */
  readonly failure: string;
  /** Whether others, who may still live, hold segments that were passed over. */
  readonly hasOthers: boolean;
  /** Store lines, all or none of them. */
  append(lines: readonly Line[]): Promise<Stored>;
  /** `append` where nothing can be awaited; undefined where the platform cannot do that. */
  appendNow?(lines: readonly Line[]): Stored;
  /** Each segment that no living program writes, oldest first. */
  segments(): AsyncIterable<Segment>;
  /** Let others, or `segments`, have what was appended. */
  close(): Promise<void>;
}
