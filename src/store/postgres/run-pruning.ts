import type { Database } from './database.js';
import { removeEndedClaims } from './message-claims.js';
import { endOfIds } from './numbers.js';
import type { SweepStep } from './sweep-step.js';

/** A resync may have ten thousand messages, which are read to see whether all are old. */
const RESYNCS_PER_STEP = 10;
const ROWS_PER_STEP = 2000;

const OLD_RESYNCS = `SELECT r.number, NOT EXISTS (SELECT FROM gateway.resync_messages m
      WHERE m.resync = r.number AND (NOT m.closed OR m.closes_at >= $2)) AS is_over
  FROM gateway.resyncs r WHERE r.number > $1 AND r.created_at < $2 ORDER BY r.number LIMIT ${RESYNCS_PER_STEP}`;
const DELETE_RESYNCS = `WITH messages AS (DELETE FROM gateway.resync_messages WHERE resync = ANY($1::int[]))
  DELETE FROM gateway.resyncs WHERE number = ANY($1::int[])`;

/** Removes resyncs, with their readable message ids, one payload retention after their last window closed. */
export function oldResyncs(db: Database): SweepStep {
  return async (cursor, { payload }) => {
    const after = Number(cursor?.[0] ?? 0);
    const rows = await db.all<{ number: number; is_over: boolean }>(OLD_RESYNCS, after, payload);
    const over = rows.filter((row) => row.is_over).map(({ number }) => number);
    if (over.length > 0) await db.run(DELETE_RESYNCS, over);
    const last = rows.at(-1);
    return last && rows.length === RESYNCS_PER_STEP ? [last.number] : null;
  };
}

/** Removes jobs one payload retention after their end. */
export function oldJobs(db: Database): SweepStep {
  return async (_, { payload }) => {
    const deleted = await db.run(
      `DELETE FROM gateway.jobs WHERE number = ANY(ARRAY(
         SELECT number FROM gateway.jobs WHERE number < $2 AND finished_at < $1 ORDER BY number LIMIT ${ROWS_PER_STEP}))`,
      payload,
      endOfIds(payload),
    );
    return deleted === ROWS_PER_STEP ? [] : null;
  };
}

/** Removes audits with their messages one payload retention after their end. */
export function oldAudits(db: Database): SweepStep {
  return async (_, { payload }) => {
    const audit = await db.one<{ number: number }>(
      'SELECT number FROM gateway.audits WHERE ended_at < $1 ORDER BY number LIMIT 1',
      payload,
    );
    if (!audit) return null;
    const deleted = await db.run(
      `DELETE FROM gateway.audit_messages WHERE number = ANY(ARRAY(
         SELECT number FROM gateway.audit_messages WHERE audit = $1 LIMIT ${ROWS_PER_STEP}))`,
      audit.number,
    );
    if (deleted < ROWS_PER_STEP) await db.run('DELETE FROM gateway.audits WHERE number = $1', audit.number);
    return [];
  };
}

/** Removes claims of messages that have ended. */
export function endedClaims(db: Database): SweepStep {
  return async (_, { now }) => {
    const removed = await removeEndedClaims(db, now, ROWS_PER_STEP);
    return removed.length === ROWS_PER_STEP ? [] : null;
  };
}

/** The result of a probe is kept, without the id of its message. There is one probe per channel. */
export function oldProbes(db: Database): SweepStep {
  return async (_, { payload }) => {
    await db.run(
      'UPDATE gateway.probes SET message_id = NULL WHERE finished_at < $1 AND message_id IS NOT NULL',
      payload,
    );
    return null;
  };
}
