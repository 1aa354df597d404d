import { StartError } from '../../errors.js';
import type { Database } from './database.js';

/** Where `migrate` keeps how far it is; it is there until all is carried over and compared. */
export const PROGRESS_TABLE = 'gateway.carried';

/** A gateway that started meanwhile would take messages for new that are not carried over yet. @throws StartError */
export async function refuseHalfCarried(db: Database): Promise<void> {
  if (!(await isHalfCarried(db))) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    'The database holds only a part of what "migrate" carries into it. Run that command again: it continues where it stopped.',
  );
}

export async function isHalfCarried(db: Pick<Database, 'one'>): Promise<boolean> {
  const row = await db.one<{ found: boolean }>(`SELECT to_regclass('${PROGRESS_TABLE}') IS NOT NULL AS found`);
  return row?.found === true;
}
