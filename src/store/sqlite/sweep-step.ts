/** Rows from before these times have outlived their retention. In milliseconds since the epoch. */
export interface Limits {
  readonly payload: number;
  readonly ledger: number;
  readonly object: number;
  /** Webhooks with lower ids have outlived the retention of payloads. */
  readonly belowId: number;
  /** The time of the sweep. No row can be younger. */
  readonly now: number;
}

/**
 * One step of a sweep, for use inside a transaction: reads or removes about `ROWS_PER_STEP` rows. Returns the step that
 * continues behind it; null: nothing is left to do. The place is in the step and a step changes nothing but the database,
 * so one that was rolled back can be repeated, and skips nothing.
 */
export type SweepStep = (limits: Limits) => SweepStep | null;

/** So few that a step takes a few milliseconds and webhooks hardly wait for it. */
export const ROWS_PER_STEP = 500;

/** Runs steps and what follows from each, one after the other. */
export function inOrder([first, ...rest]: readonly SweepStep[]): SweepStep {
  return (limits) => {
    const next = first?.(limits) ?? null;
    if (next !== null) return inOrder([next, ...rest]);
    return rest.length > 0 ? inOrder(rest) : null;
  };
}
