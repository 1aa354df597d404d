import type { Db } from './database.js';
import { inOrder, ROWS_PER_STEP } from './sweep-step.js';
import type { SweepStep } from './sweep-step.js';

interface NumberedRow {
  readonly number: number;
  readonly isOld: 0 | 1;
}

interface MessagesSlice {
  readonly rows: number;
  /** The last position; null: there is no row. */
  readonly last: number | null;
  /** Whether the window of one is open or was closed too recently. */
  readonly isKept: 0 | 1;
}

/** Removes old resyncs, jobs and audits. Their rows are read in slices of their numbers. */
export class RunPruning {
  /** Removes resyncs, with their readable message ids, one payload retention after their last window closed. */
  readonly resyncs: SweepStep;
  /** Removes jobs one payload retention after their end. */
  readonly jobs: SweepStep;
  /** Removes audits with their messages one payload retention after their end. */
  readonly audits: SweepStep;
  readonly #messagesSlice;
  readonly #removeResync;

  constructor(db: Db) {
    this.#messagesSlice = db.prepare<{ resync: number; after: number; before: number }, MessagesSlice>(
      `SELECT count(*) AS rows, max(position) AS last,
         coalesce(max(closed = 0 OR coalesce(closes_at >= @before, 0)), 0) AS isKept
       FROM (SELECT position, closed, closes_at FROM resync_messages WHERE resync = @resync AND position > @after
             ORDER BY position LIMIT ${ROWS_PER_STEP})`,
    );
    this.#removeResync = removal(
      db,
      `DELETE FROM resync_messages WHERE resync = @number AND position IN (
         SELECT position FROM resync_messages WHERE resync = @number ORDER BY position LIMIT ${ROWS_PER_STEP})`,
      'DELETE FROM resyncs WHERE number = ?',
    );
    const removeAudit = removal(
      db,
      `DELETE FROM audit_messages WHERE number IN (
         SELECT number FROM audit_messages WHERE audit = @number LIMIT ${ROWS_PER_STEP})`,
      'DELETE FROM audits WHERE number = ?',
    );
    const removeJob = db.prepare<[number]>('DELETE FROM jobs WHERE number = ?');
    this.resyncs = everyOld(db, 'resyncs', 'created_at', (number) => this.#checkResync(number, -1));
    this.audits = everyOld(db, 'audits', 'ended_at', removeAudit);
    this.jobs = everyOld(db, 'jobs', 'finished_at', (number) => {
      removeJob.run(number);
      return null;
    });
  }

  /** Checks the messages of a resync after a position, and removes it if all of them are old. */
  #checkResync(resync: number, after: number): SweepStep {
    return (limits) => {
      const slice = this.#messagesSlice.get({ resync, after, before: limits.payload });
      if (slice?.isKept === 1) return null;
      if (slice?.rows === ROWS_PER_STEP) return this.#checkResync(resync, slice.last ?? after);
      return this.#removeResync(resync)(limits);
    };
  }
}

/** Removes a row by its number: its parts in slices, then the row itself. */
function removal(db: Db, removeParts: string, removeRow: string): (number: number) => SweepStep {
  const parts = db.prepare<{ number: number }>(removeParts);
  const row = db.prepare<[number]>(removeRow);
  return (number) => {
    const step: SweepStep = () => {
      if (parts.run({ number }).changes === ROWS_PER_STEP) return step;
      row.run(number);
      return null;
    };
    return step;
  };
}

/** Walks through a table, and does for each row that is old by a column what `remove` returns; null: it is done already. */
function everyOld(
  db: Db,
  table: 'resyncs' | 'jobs' | 'audits',
  time: string,
  remove: (number: number) => SweepStep | null,
): SweepStep {
  const slice = db.prepare<{ after: number; before: number }, NumberedRow>(
    `SELECT number, coalesce(${time} < @before, 0) AS isOld FROM ${table} WHERE number > @after
     ORDER BY number LIMIT ${ROWS_PER_STEP}`,
  );
  const walk =
    (after: number): SweepStep =>
    ({ payload }) => {
      const rows = slice.all({ after, before: payload });
      const steps = rows.filter(({ isOld }) => isOld === 1).flatMap(({ number }) => remove(number) ?? []);
      const last = rows.length === ROWS_PER_STEP ? rows.at(-1)?.number : undefined;
      if (last !== undefined) steps.push(walk(last));
      return steps.length === 0 ? null : inOrder(steps);
    };
  return walk(0);
}
