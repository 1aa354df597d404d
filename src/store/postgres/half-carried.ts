import { StartError } from '../../errors.js';
import type { Database } from './database.js';

/** Where `migrate` keeps how far it is; it is there until all is carried over and compared. */
export const PROGRESS_TABLE = 'gateway.carried';
/** Held while `migrate` begins: it looks for gateways, and makes the table. Shared while a gateway looks for the table. */
export const CARRY_LOCK = '7, 4';

/** A gateway that started meanwhile would take messages for new that are not carried over yet. @throws StartError */
export async function refuseHalfCarried(db: Database): Promise<void> {
  const isBegun = await db.transaction(async (tx) => {
    await tx.all(`SELECT pg_advisory_xact_lock_shared(${CARRY_LOCK})`);
    return await isHalfCarried(tx);
  });
  if (!isBegun) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    'The database holds only a part of what "migrate" carries into it. Run that command again: it continues where it stopped.',
  );
}

export async function isHalfCarried(db: Pick<Database, 'one'>): Promise<boolean> {
  const row = await db.one<{ found: boolean }>(`SELECT to_regclass('${PROGRESS_TABLE}') IS NOT NULL AS found`);
  return row?.found === true;
}
