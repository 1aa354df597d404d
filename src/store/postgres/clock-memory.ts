import { HOUR_MS } from '../../durations.js';
import type { Queries, Transaction } from './queries.js';
import { metaValue, removeMeta, setMeta } from './meta.js';

const SEEN_AT = 'clock_seen_at';
const CONFIRMED_AT = 'clock_confirmed_at';
const SET_BACK_AT = 'clock_set_back_at';

/** Stored times that are wrong by less do no harm. */
const LEAST_SET_BACK_MS = HOUR_MS;

/** See `Upkeep.rememberTime`. */
export async function rememberTime(tx: Transaction, now: number, isConfirmed: boolean): Promise<void> {
  const seenAt = (await timeOf(tx, SEEN_AT)) ?? now;
  await noteSetBack(tx, seenAt - now, now);
  await setMeta(tx, SEEN_AT, String(now));
  if (isConfirmed) await setMeta(tx, CONFIRMED_AT, String(now));
}

/** See `Upkeep.confirmedTime`. */
export async function confirmedAt(queries: Queries): Promise<number | null> {
  return await timeOf(queries, CONFIRMED_AT);
}

/** The clock was set back by `byMs`, to `now`. */
export async function noteSetBack(tx: Transaction, byMs: number, now: number): Promise<void> {
  if (byMs >= LEAST_SET_BACK_MS) await setMeta(tx, SET_BACK_AT, String(now));
}

/** When the clock was set back, by the clock after that; null: not since `forgetSetBack`. */
export async function setBackAt(queries: Queries): Promise<number | null> {
  return await timeOf(queries, SET_BACK_AT);
}

/** The times from before it was set back are corrected. */
export async function forgetSetBack(queries: Queries, at: number): Promise<void> {
  await removeMeta(queries, SET_BACK_AT, String(at));
}

async function timeOf(queries: Queries, name: string): Promise<number | null> {
  const value = await metaValue(queries, name);
  return value === null ? null : Number(value);
}
