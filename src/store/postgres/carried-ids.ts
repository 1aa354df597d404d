import type { Queries } from './queries.js';
import { metaValue } from './meta.js';
import { leastCarriedId, leastId } from './numbers.js';

/** The key in `meta` of the time when rows were carried over from SQLite. Their ids are lower than all others. */
export const CARRIED_AT = 'carried_at';

/** When rows were carried over; null: never. */
export async function carriedAt(db: Queries): Promise<number | null> {
  const value = await metaValue(db, CARRIED_AT);
  return value === null ? null : Number(value);
}

/** The lowest id of a row recorded at or after `time`. Other rows of that day may be older. @param carried `carriedAt` */
export function leastIdSince(time: number, carried: number | null): number {
  return carried !== null && time <= carried ? leastCarriedId(time) : leastId(time);
}
