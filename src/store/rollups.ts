/** Counts over time, for plots: in steps of 10 seconds for an hour, 5 minutes for a day, an hour for 90 days. */
export interface Rollups {
  /**
   * Adds what was counted until `at`, in some small transactions. A failure leaves each subject's counts either added or
   * not, and calls `onAdded` for those that were.
   */
  add(rows: readonly RollupRow[], at: number, onAdded: (row: RollupRow) => void): Promise<void>;
  /** The counts of a subject over time. Unknown subject: none. */
  series(subject: string, range: RollupRange): Promise<readonly RollupPoint[]>;
  /** The sum over time of each subject that begins with `prefix`. */
  sums(prefix: string, range: RollupRange): Promise<ReadonlyMap<string, Figures>>;
  /** Drops what is older than its step is kept for. */
  prune(now: number): Promise<void>;
}

/** Numbers by name; those that are missing are zero. */
export type Figures = Readonly<Record<string, number>>;

export interface RollupRow {
  /** What was counted for: see metrics.ts. */
  readonly subject: string;
  readonly figures: Figures;
}

export interface RollupPoint {
  readonly start: number;
  readonly figures: Figures;
}

/** From `from` on, which is a multiple of `stepMs`. */
export interface RollupRange {
  readonly from: number;
  readonly stepMs: RollupStep;
}

export const ROLLUP_STEPS_MS = [10_000, 300_000, 3_600_000] as const;
export type RollupStep = (typeof ROLLUP_STEPS_MS)[number];
