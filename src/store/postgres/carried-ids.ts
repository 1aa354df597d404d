import type { Queries } from './queries.js';
import { metaValue } from './meta.js';
import { leastCarriedId, leastId } from './numbers.js';

/** Where the store keeps when rows were carried over from SQLite. They keep their ids, which are below all others. */
export const CARRIED_AT = 'carried_at';

/** When rows were carried over; null: never. */
export async function carriedAt(db: Queries): Promise<number | null> {
  const value = await metaValue(db, CARRIED_AT);
  return value === null ? null : Number(value);
}

/** The least id of a row that was recorded at or after `time`. Some of that day may be older. @param carried `carriedAt` */
export function leastIdSince(time: number, carried: number | null): number {
  return carried !== null && time <= carried ? leastCarriedId(time) : leastId(time);
}
