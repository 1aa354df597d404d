import type { Retention } from '../upkeep.js';

/** Rows from before these times have outlived their retention. In milliseconds since the epoch. */
export interface Limits {
  readonly payload: number;
  readonly ledger: number;
  readonly object: number;
  /** The time of the sweep. No row can be younger. */
  readonly now: number;
}

/** The progress of a phase of the sweep, as JSON from which any replica can continue. */
export type Cursor = readonly (string | number)[];

/**
 * One step of a phase, in transactions of its own. Returns where the next step begins; null: the phase is complete. A step
 * may be repeated, because its place is stored after it.
 * @param cursor null: the first step
 */
export type SweepStep = (cursor: Cursor | null, limits: Limits) => Promise<Cursor | null>;

/** The phases of a sweep by name, in their order. */
export type SweepPhases = ReadonlyMap<string, SweepStep>;

/**
 * Ledger rows are kept at least as long as payloads, because they point to the first sighting of each message.
 * @param objectMs how long the last event of an object is kept
 */
export function limitsOf({ payloadMs, ledgerMs }: Retention, objectMs: number, now: number): Limits {
  return { now, payload: now - payloadMs, ledger: now - Math.max(ledgerMs, payloadMs), object: now - objectMs };
}
