import type { Database } from './database.js';
import type { Limits, SweepStep } from './sweep-step.js';

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
export function oldKeysOf(db: Database, { table: name, time, limit }: HashedTable): SweepStep {
  const table = `gateway.${name}`;
  const deleteOld = `DELETE FROM ${table} WHERE key = ANY(ARRAY(
    SELECT key FROM ${table} WHERE key > $1 AND key <= $2 AND ${time} < $3 FOR UPDATE SKIP LOCKED))`;
  return inRanges(db, table, async (from, end, limits) => await db.run(deleteOld, from, end, limits[limit]));
}

/** Removes fingerprints of registered messages whose windows are all closed, should any be left. */
export function endedContentFingerprints(db: Database): SweepStep {
  const table = 'gateway.content_fingerprints';
  const deleteEnded = `DELETE FROM ${table} WHERE key > $1 AND key <= $2 AND (key, message_key) IN (
    SELECT f.key, f.message_key FROM ${table} f WHERE f.key > $1 AND f.key <= $2
      AND NOT EXISTS (SELECT FROM gateway.resync_messages m WHERE m.key = f.message_key AND NOT m.closed)
    FOR UPDATE SKIP LOCKED)`;
  return inRanges(db, table, async (from, end) => await db.run(deleteEnded, from, end));
}

/** Walks through the keys of a table, a range in each step. */
function inRanges(
  db: Database,
  table: string,
  prune: (from: string, end: string, limits: Limits) => Promise<unknown>,
): SweepStep {
  const endOfRange = `SELECT key FROM ${table} WHERE key > $1 ORDER BY key LIMIT 1 OFFSET ${KEYS_PER_STEP - 1}`;
  return async (cursor, limits) => {
    const from = String(cursor?.[0] ?? FIRST_KEY);
    const end = await db.one<{ key: string }>(endOfRange, from);
    await prune(from, end?.key ?? LAST_KEY, limits);
    return end ? [end.key] : null;
  };
}
