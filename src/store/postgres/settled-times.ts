import { forgetSetBack, setBackAt } from './clock-memory.js';
import type { Database } from './database.js';
import type { SweepStep } from './sweep-step.js';

const ROWS_PER_STEP = 5000;

const FIRST = 'SELECT min(id) - 1 AS id FROM gateway.history';
const END_OF_RANGE = `SELECT id FROM gateway.history WHERE id > $1 ORDER BY id LIMIT 1 OFFSET ${ROWS_PER_STEP - 1}`;
const CORRECT = 'UPDATE gateway.history SET settled_at = $3 WHERE id > $1 AND id <= $2 AND settled_at > $3';

/**
 * After the clock was set back, deliveries and audits may have an end in the future. It becomes the present, so that their
 * payloads do not outlive the retention. One pass over all settled deliveries each time the clock was set back.
 */
export function settledTimes(db: Database): SweepStep {
  return async (cursor, { now }) => {
    const at = await setBackAt(db);
    if (at === null) return null;
    if (cursor === null) await db.run('UPDATE gateway.audits SET ended_at = $1 WHERE ended_at > $1', now);
    const from = cursor === null ? (await db.one<{ id: number | null }>(FIRST))?.id : Number(cursor[0]);
    if (typeof from === 'number') {
      const end = await db.one<{ id: number }>(END_OF_RANGE, from);
      await db.run(CORRECT, from, end?.id ?? Number.MAX_SAFE_INTEGER, now);
      if (end) return [end.id];
    }
    await forgetSetBack(db, at);
    return null;
  };
}
