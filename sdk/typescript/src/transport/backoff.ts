/** How long to wait after a failure. */

/** Doubles from `firstSeconds` to `maxSeconds`; half of it is jitter. */
export interface Backoff {
  readonly firstSeconds: number;
  readonly maxSeconds: number;
  /** A number from 0 to 1, new at each call. */
  readonly chance: () => number;
}

export const DEFAULT_BACKOFF: Backoff = { firstSeconds: 0.5, maxSeconds: 30, chance: Math.random };

/** The pause after so many failures in a row, never shorter than the server asked for. */
export function pauseSeconds(
  { firstSeconds, maxSeconds, chance }: Backoff,
  failures: number,
  retryAfterSeconds: number | null,
): number {
  const ceiling = Math.min(firstSeconds * 2 ** Math.min(failures - 1, 30), maxSeconds);
  return Math.max(ceiling * (0.5 + chance() / 2), retryAfterSeconds ?? 0);
}
