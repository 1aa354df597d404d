import { StartError } from '../../errors.js';
import type { Database } from './database.js';
import { LOCK_CARRY_OVER_SHARED } from './locks.js';

/** Holds the progress of `migrate`, until everything is carried over and compared. */
export const PROGRESS_TABLE = 'gateway.carried';

/** A gateway would judge messages that are not carried over yet as new. @throws StartError GW_STORE_UNUSABLE */
export async function refuseHalfCarried(db: Database): Promise<void> {
  const isBegun = await db.transaction(async (tx) => {
    await tx.all(LOCK_CARRY_OVER_SHARED);
    return await isHalfCarried(tx);
  });
  if (!isBegun) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    'The database is incomplete, because "migrate" was interrupted. Run that command again: it continues where it stopped.',
  );
}

/** Whether `migrate` has begun and not finished. */
export async function isHalfCarried(db: Pick<Database, 'one'>): Promise<boolean> {
  const row = await db.one<{ found: boolean }>(`SELECT to_regclass('${PROGRESS_TABLE}') IS NOT NULL AS found`);
  return row?.found === true;
}
