import type { Database } from './database.js';
import type { SweepStep } from './sweep-step.js';

/** Keys that one step reads. */
const KEYS_PER_STEP = 5000;

const FIRST_KEY = '00000000-0000-0000-0000-000000000000';
const LAST_KEY = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

interface HashedTable {
  readonly table: 'ledger' | 'fingerprints' | 'objects' | 'chats';
  readonly time: 'last_seen_at' | 'recorded_at' | 'received_at';
  readonly limit: 'ledger' | 'object';
}

/**
 * Removes old rows from a table of hashed keys, one range of keys at a time. An index on the time would find them at once, but
 * would cost a write for each message; this costs one slow pass per sweep. Rows that a webhook is changing are not old, so
 * they are skipped.
 */
export function oldKeysOf(db: Database, { table, time, limit }: HashedTable): SweepStep {
  const endOfRange = `SELECT key FROM gateway.${table} WHERE key > $1 ORDER BY key LIMIT 1 OFFSET ${KEYS_PER_STEP - 1}`;
  const deleteOld = `DELETE FROM gateway.${table} WHERE key IN (
    SELECT key FROM gateway.${table} WHERE key > $1 AND key <= $2 AND ${time} < $3 FOR UPDATE SKIP LOCKED)`;
  return async (cursor, limits) => {
    const from = String(cursor?.[0] ?? FIRST_KEY);
    const end = await db.one<{ key: string }>(endOfRange, from);
    await db.run(deleteOld, from, end?.key ?? LAST_KEY, limits[limit]);
    return end ? [end.key] : null;
  };
}

/** Removes fingerprints of registered messages whose windows are all closed, should any be left. */
export function endedContentFingerprints(db: Database): SweepStep {
  return async () => {
    const deleted = await db.run(
      `DELETE FROM gateway.content_fingerprints WHERE (key, message_key) IN (
         SELECT f.key, f.message_key FROM gateway.content_fingerprints f
         WHERE NOT EXISTS (SELECT FROM gateway.resync_messages m WHERE m.key = f.message_key AND NOT m.closed)
         LIMIT ${KEYS_PER_STEP} FOR UPDATE SKIP LOCKED)`,
    );
    return deleted === KEYS_PER_STEP ? [] : null;
  };
}
