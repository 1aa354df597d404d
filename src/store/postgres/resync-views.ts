import type { ResyncMessageStatus, ResyncStatus } from '../../model.js';
import { decodeCursor, encodeCursor } from '../rules/ids.js';
import { paged } from '../rules/paging.js';
import {
  AVERAGED_PROOFS,
  isResyncOver,
  latelyMs,
  queuedAhead,
  RATE_PERIOD_MS,
  RESYNC_MESSAGE_COLUMNS,
  resyncCounts,
  resyncMessageView,
  resyncView,
} from '../rules/resync-rows.js';
import type { ResyncMessageRow, ResyncRow } from '../rules/resync-rows.js';
import { ResyncTotals } from '../rules/resync-totals.js';
import type { RunFilter } from '../filters.js';
import type { Page, PageRequest } from '../paging.js';
import type {
  ResyncMessageFilter,
  ResyncMessageView,
  ResyncProgress,
  ResyncReport,
  ResyncState,
  ResyncView,
} from '../resyncs.js';
import { historiesOf } from './call-history.js';
import type { Base } from './base.js';

/** Which messages of a resync are held. */
export interface HeldOfResync {
  /** How many items a release of each message would send, by the message's position; those that none would are left out. */
  countsForResync(resync: number, from: number, to: number): Promise<ReadonlyMap<number, number>>;
}

/** Each slice is a query for the messages and one for what is held of them. */
const MESSAGES_PER_SLICE = 500;

/** The condition on `resyncs r`; a resync that is still being registered is running too. */
const IS_RUNNING = `(NOT r.complete OR EXISTS (SELECT 1 FROM gateway.resync_messages m
  WHERE m.resync = r.number AND m.status IN ('queued', 'requesting', 'waiting')))`;
/** The conditions on `resyncs r` that the status of a view is decided by. */
const HAS_STATUS: Readonly<Record<ResyncStatus, string>> = {
  running: `r.cancelled_at IS NULL AND ${IS_RUNNING}`,
  finished: `r.cancelled_at IS NULL AND NOT ${IS_RUNNING}`,
  cancelled: 'r.cancelled_at IS NOT NULL',
};

const COLUMNS =
  'r.number, r.id, r.channel, r.deliver_unseen, r.window_seconds, r.created_at, r.cancelled_at, r.last_asked_at, r.call_ms';

const COUNTS = `SELECT resync, status, count(*) AS count FROM gateway.resync_messages WHERE resync = ANY($1::int[])
  GROUP BY resync, status`;

const FINISHED_AT = `SELECT r.number, (SELECT max(m.settled_at) FROM gateway.resync_messages m
    WHERE m.resync = r.number AND m.settled_at IS NOT NULL) AS at
  FROM unnest($1::int[]) AS r(number)`;

const SPEEDS = `SELECT r.number,
    (SELECT count(*) FROM gateway.resync_messages m WHERE m.resync = r.number AND m.settled_at > $2) AS settled,
    (SELECT avg(ms)::double precision FROM (
      SELECT m.restored_at - m.asked_at AS ms FROM gateway.resync_messages m
      WHERE m.resync = r.number AND m.settled_at IS NOT NULL AND m.restored_at >= m.asked_at
      ORDER BY m.settled_at DESC LIMIT ${AVERAGED_PROOFS}) AS newest) AS restore_ms
  FROM unnest($1::int[]) AS r(number)`;

const QUEUED = `SELECT channel, resync, count(*) AS count FROM gateway.resync_messages
  WHERE channel = ANY($1::text[]) AND status = 'queued' AND next_at IS NOT NULL GROUP BY channel, resync`;

/** Lists and reports of resyncs; reads only. What is counted is counted for all resyncs of a page by one query. */
export class ResyncViews {
  readonly #base: Base;
  readonly #held: HeldOfResync;

  constructor(base: Base, held: HeldOfResync) {
    this.#base = base;
    this.#held = held;
  }

  async resyncs(
    { limit, cursor }: PageRequest,
    { status, channel }: RunFilter<ResyncStatus>,
  ): Promise<Page<ResyncView>> {
    const [before = Number.MAX_SAFE_INTEGER] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows = await this.#base.db.all<ResyncRow>(
      `SELECT ${COLUMNS} FROM gateway.resyncs r WHERE r.complete AND r.number < $1::bigint
         AND ($2::text IS NULL OR r.channel = $2) ${status === undefined ? '' : `AND ${HAS_STATUS[status]}`}
       ORDER BY r.number DESC LIMIT $3`,
      ...[before, channel ?? null, limit + 1],
    );
    const views = await this.#viewsOf(rows.slice(0, limit));
    const { nextCursor } = paged(rows, limit, String, (row) => encodeCursor(row.number));
    return { data: views, nextCursor };
  }

  async resync(id: string): Promise<ResyncView | null> {
    const rows = await this.#base.db.all<ResyncRow>(
      `SELECT ${COLUMNS} FROM gateway.resyncs r WHERE r.id = $1 AND r.complete`,
      id,
    );
    const [view] = await this.#viewsOf(rows);
    return view ?? null;
  }

  async states({ after, before }: { after: number; before: number }, limit: number): Promise<ResyncState[]> {
    return await this.#base.db.all<ResyncState>(
      `SELECT r.number, r.id, ${IS_RUNNING} AS "isRunning" FROM gateway.resyncs r
       WHERE r.number > $1::bigint AND r.number < $2::bigint ORDER BY r.number DESC LIMIT $3`,
      ...[after, before, limit],
    );
  }

  async stillRunning(ids: readonly string[]): Promise<Set<string>> {
    const rows = await this.#base.db.all<{ id: string }>(
      `SELECT r.id FROM gateway.resyncs r WHERE r.id = ANY($1::text[]) AND ${IS_RUNNING}`,
      ids,
    );
    return new Set(rows.map(({ id }) => id));
  }

  async messages(
    id: string,
    { limit, cursor }: PageRequest,
    { status, held }: ResyncMessageFilter = {},
  ): Promise<Page<ResyncMessageView>> {
    const [after = -1] = cursor === null ? [] : decodeCursor(cursor, 1);
    const found: (ResyncMessageRow & { isHeld: boolean })[] = [];
    for await (const { rows, counts } of this.#slices(id, after, status)) {
      const views = rows.map((row) => ({ ...row, isHeld: (counts.get(row.position) ?? 0) > 0 }));
      found.push(...views.filter(({ isHeld }) => held === undefined || isHeld === held));
      if (found.length > limit) break;
    }
    return paged(
      found,
      limit,
      (row) => resyncMessageView(row, row.isHeld),
      (row) => encodeCursor(row.position),
    );
  }

  async report(id: string): Promise<ResyncReport | null> {
    const totals = new ResyncTotals();
    for await (const { rows, counts } of this.#slices(id, -1)) {
      for (const row of rows) totals.add(row, counts.get(row.position) ?? 0);
    }
    const resync = await this.resync(id);
    return resync && { resync, ...totals.totals };
  }

  /** The messages of a resync behind the position `after`, with the numbers of held items. */
  async *#slices(id: string, after: number, status?: ResyncMessageStatus) {
    for (let from = after; ;) {
      const rows = await this.#base.db.all<ResyncMessageRow>(
        `SELECT ${RESYNC_MESSAGE_COLUMNS} FROM gateway.resyncs r JOIN gateway.resync_messages m ON m.resync = r.number
         WHERE r.id = $1 AND m.position > $2::bigint AND ($3::text IS NULL OR m.status = $3)
         ORDER BY m.position LIMIT ${MESSAGES_PER_SLICE}`,
        ...[id, from, status ?? null],
      );
      const [first, last] = [rows[0], rows.at(-1)];
      if (!first || !last) return;
      yield { rows, counts: await this.#held.countsForResync(first.number, first.position, last.position) };
      if (rows.length < MESSAGES_PER_SLICE) return;
      from = last.position;
    }
  }

  async #viewsOf(rows: readonly ResyncRow[]): Promise<ResyncView[]> {
    if (rows.length === 0) return [];
    const { db } = this.#base;
    const counted = await db.all<{ resync: number; status: ResyncMessageStatus; count: number }>(
      COUNTS,
      numbersOf(rows),
    );
    const counts = new Map(
      rows.map(({ number }) => [number, resyncCounts(counted.filter(({ resync }) => resync === number))]),
    );
    const isOver = ({ number }: ResyncRow): boolean => isResyncOver(counts.get(number) ?? resyncCounts([]));
    const [finished, progress] = await Promise.all([
      this.#finishedAt(rows.filter(isOver)),
      this.#progressOf(rows.filter((row) => !isOver(row))),
    ]);
    return rows.map((row) =>
      resyncView(
        row,
        counts.get(row.number) ?? resyncCounts([]),
        finished.get(row.number) ?? null,
        progress.get(row.number) ?? null,
      ),
    );
  }

  async #finishedAt(rows: readonly ResyncRow[]): Promise<ReadonlyMap<number, number | null>> {
    if (rows.length === 0) return new Map();
    const found = await this.#base.db.all<{ number: number; at: number | null }>(FINISHED_AT, numbersOf(rows));
    return new Map(found.map(({ number, at }) => [number, at]));
  }

  /** Of the resyncs that are running; those of removed channels are left out. */
  async #progressOf(rows: readonly ResyncRow[]): Promise<ReadonlyMap<number, ResyncProgress>> {
    if (rows.length === 0) return new Map();
    const { db, registry } = this.#base;
    const now = this.#base.now();
    const names = [...new Set(rows.map(({ channel }) => channel))];
    const [{ channels }, speeds, queued, historyOf] = await Promise.all([
      registry.current(),
      db.all<{ number: number; settled: number; restore_ms: number | null }>(
        SPEEDS,
        numbersOf(rows),
        now - RATE_PERIOD_MS,
      ),
      db.all<{ channel: string; resync: number; count: number }>(QUEUED, names),
      historiesOf(db, names, now),
    ]);
    const progress = new Map<number, ResyncProgress>();
    for (const row of rows) {
      const channel = channels.get(row.channel);
      const speed = speeds.find(({ number }) => number === row.number);
      if (!channel) continue;
      const waiting = queued
        .filter((each) => each.channel === row.channel)
        .map(({ resync, count }) => [resync, count] as const);
      progress.set(row.number, {
        ...historyOf(row.channel),
        channel,
        settledLately: speed?.settled ?? 0,
        latelyMs: latelyMs(row, now),
        callMs: row.call_ms,
        restoreMs: speed?.restore_ms ?? null,
        lastAskedAt: row.last_asked_at,
        ahead: queuedAhead(new Map(waiting), row.number),
      });
    }
    return progress;
  }
}

function numbersOf(rows: readonly ResyncRow[]): number[] {
  return rows.map(({ number }) => number);
}
