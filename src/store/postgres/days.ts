import { utcDay } from '../rules/days.js';
import type { Database } from './database.js';
import { LOCK_PARTITIONS } from './locks.js';

/** Days for which partitions are made ahead. */
const DAYS_AHEAD = 4;
/** A webhook may be recorded with the time of the day before. */
const DAYS_BEHIND = 1;

/**
 * Makes the missing partitions from yesterday to four days ahead, under a lock, because several replicas may miss them.
 * @param another one more day, for example an old one whose delivery is settled only now
 */
export async function makeDays(db: Database, now: number, another: number | null = null): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.all(LOCK_PARTITIONS);
    await tx.all('SELECT gateway.make_day(day) FROM generate_series($1::int, $2::int) AS day', ...daysAround(now));
    if (another !== null) await tx.all('SELECT gateway.make_day($1::int)', another);
  });
}

/** The first and the last day that have partitions at this time. */
export function daysAround(now: number): readonly [first: number, last: number] {
  const today = utcDay(now);
  return [today - DAYS_BEHIND, today + DAYS_AHEAD];
}
