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
import type { CallHistoryTable } from './call-history.js';
import type { Db } from './database.js';
import { allOf, ABOVE_ALL_IDS } from './filters.js';
import type { Condition } from './filters.js';
import { yieldToCommits } from './slices.js';
import type { HeldItems } from './held-items.js';
import type { RegistryTables } from './registry-tables.js';
import { ResyncQueue } from './resync-queue.js';
import { newestRuns } from './run-lists.js';
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

/** The condition on `resyncs r`; a resync that is still being registered is running too. */
export const IS_RUNNING = `(r.complete = 0 OR EXISTS (SELECT 1 FROM resync_messages m
  WHERE m.resync = r.number AND m.status IN ('queued', 'requesting', 'waiting')))`;
/** The conditions on `resyncs r` that `statusOf` decides by. */
export const HAS_STATUS: Readonly<Record<ResyncStatus, string>> = {
  running: `cancelled_at IS NULL AND ${IS_RUNNING}`,
  finished: `cancelled_at IS NULL AND NOT ${IS_RUNNING}`,
  cancelled: 'cancelled_at IS NOT NULL',
};
/** For each message one query looks up whether it is held. */
const MESSAGES_PER_SLICE = 200;

/** Lists and reports of resyncs; reads only. */
export class ResyncViews {
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #history: CallHistoryTable;
  readonly #held: HeldItems;
  readonly #counts;
  readonly #finishedAt;
  readonly #countSettledSince;
  readonly #restoreMs;
  readonly #queue: ResyncQueue;
  readonly #states;
  readonly #isRunning;

  constructor(db: Db, registry: RegistryTables, history: CallHistoryTable, held: HeldItems) {
    this.#db = db;
    this.#held = held;
    this.#registry = registry;
    this.#history = history;
    this.#counts = db.prepare<[number], { status: ResyncMessageStatus; count: number }>(
      'SELECT status, count(*) AS count FROM resync_messages WHERE resync = ? GROUP BY status',
    );
    this.#finishedAt = db
      .prepare<[number], number | null>(
        'SELECT max(settled_at) FROM resync_messages WHERE resync = ? AND settled_at IS NOT NULL',
      )
      .pluck();
    this.#countSettledSince = db
      .prepare<[number, number], number>('SELECT count(*) FROM resync_messages WHERE resync = ? AND settled_at > ?')
      .pluck();
    this.#restoreMs = db
      .prepare<[number], number | null>(
        `SELECT avg(ms) FROM (SELECT restored_at - asked_at AS ms FROM resync_messages
           WHERE resync = ? AND settled_at IS NOT NULL AND restored_at >= asked_at
           ORDER BY settled_at DESC LIMIT ${AVERAGED_PROOFS})`,
      )
      .pluck();
    this.#queue = new ResyncQueue(db);
    this.#states = db.prepare<[number, number, number], { number: number; id: string; isRunning: number }>(
      `SELECT r.number, r.id, ${IS_RUNNING} AS isRunning FROM resyncs r
       WHERE r.number > ? AND r.number < ? ORDER BY r.number DESC LIMIT ?`,
    );
    this.#isRunning = db.prepare<[string], number>(`SELECT ${IS_RUNNING} FROM resyncs r WHERE r.id = ?`).pluck();
  }

  /** One resync is counted at a time, for at most 10,000 index entries (0.6 ms), then other work can run. */
  async resyncs(
    { limit, cursor }: PageRequest,
    { status, channel }: RunFilter<ResyncStatus>,
    now: number,
  ): Promise<Page<ResyncView>> {
    const [before = ABOVE_ALL_IDS] = cursor === null ? [] : decodeCursor(cursor, 1);
    const conditions: (Condition | false)[] = [
      ['complete = 1'],
      status !== undefined && [HAS_STATUS[status]],
      channel !== undefined && ['channel = ?', channel],
    ];
    const rows = await newestRuns<ResyncRow>(this.#db, { from: 'resyncs r', conditions }, before, limit + 1);
    const queued = new Map<string, ReadonlyMap<number, number>>();
    const views: ResyncView[] = [];
    for (const row of rows.slice(0, limit)) {
      views.push(await this.#resyncView(row, now, queued));
      await yieldToCommits();
    }
    const { nextCursor } = paged(rows, limit, String, (row) => encodeCursor(row.number));
    return { data: views, nextCursor };
  }

  async resync(id: string, now: number): Promise<ResyncView | null> {
    const row = this.#rowOf(id);
    return row ? await this.#resyncView(row, now) : null;
  }

  states({ after, before }: { after: number; before: number }, limit: number): ResyncState[] {
    const rows = this.#states.all(after, before, limit);
    return rows.map(({ isRunning, ...row }) => ({ ...row, isRunning: isRunning === 1 }));
  }

  stillRunning(ids: readonly string[]): Set<string> {
    return new Set(ids.filter((id) => this.#isRunning.get(id) === 1));
  }

  async messages(
    id: string,
    { limit, cursor }: PageRequest,
    { status, held }: ResyncMessageFilter = {},
  ): Promise<Page<ResyncMessageView>> {
    const found: (ResyncMessageRow & { isHeld: boolean })[] = [];
    let [after = -1]: (number | undefined)[] = cursor === null ? [] : decodeCursor(cursor, 1);
    for (;;) {
      const rows = this.#messagesAfter(id, after, status);
      const counts = this.#heldCounts(rows);
      const views = rows.map((row) => ({ ...row, isHeld: (counts.get(row.position) ?? 0) > 0 }));
      found.push(...views.filter(({ isHeld }) => held === undefined || isHeld === held));
      const last = rows.at(-1);
      if (!last || rows.length < MESSAGES_PER_SLICE || found.length > limit) break;
      after = last.position;
      await yieldToCommits();
    }
    return paged(
      found,
      limit,
      (row) => resyncMessageView(row, row.isHeld),
      (row) => encodeCursor(row.position),
    );
  }

  #messagesAfter(id: string, after: number, status?: ResyncMessageStatus): ResyncMessageRow[] {
    const { where, values } = allOf([
      ['r.id = ?', id],
      ['m.position > ?', after],
      status !== undefined && ['m.status = ?', status],
    ]);
    return this.#db
      .prepare<unknown[], ResyncMessageRow>(
        `SELECT ${RESYNC_MESSAGE_COLUMNS} FROM resyncs r JOIN resync_messages m ON m.resync = r.number
         WHERE ${where} ORDER BY m.position LIMIT ${MESSAGES_PER_SLICE}`,
      )
      .all(...values);
  }

  async report(id: string, now: number): Promise<ResyncReport | null> {
    const totals = new ResyncTotals();
    let after = -1;
    for (;;) {
      const rows = this.#messagesAfter(id, after);
      const held = this.#heldCounts(rows);
      for (const row of rows) totals.add(row, held.get(row.position) ?? 0);
      const last = rows.at(-1);
      if (!last || rows.length < MESSAGES_PER_SLICE) break;
      after = last.position;
      await yieldToCommits();
    }
    const resync = await this.resync(id, now);
    return resync && { resync, ...totals.totals };
  }

  /** How many items a release of each message would send, by its position. */
  #heldCounts(rows: readonly ResyncMessageRow[]): ReadonlyMap<number, number> {
    const [first, last] = [rows[0], rows.at(-1)];
    return first && last ? this.#held.countsForResync(first.number, first.position, last.position) : new Map();
  }

  #rowOf(id: string): ResyncRow | undefined {
    return this.#db.prepare<[string], ResyncRow>('SELECT * FROM resyncs WHERE id = ? AND complete = 1').get(id);
  }

  /** @param queued the queued messages of channels that were counted for the same answer */
  async #resyncView(
    row: ResyncRow,
    now: number,
    queued = new Map<string, ReadonlyMap<number, number>>(),
  ): Promise<ResyncView> {
    const counts = resyncCounts(this.#counts.all(row.number));
    const isOver = isResyncOver(counts);
    return resyncView(
      row,
      counts,
      isOver ? (this.#finishedAt.get(row.number) ?? null) : null,
      isOver ? null : await this.#progress(row, now, queued),
    );
  }

  async #progress(
    row: ResyncRow,
    now: number,
    queued: Map<string, ReadonlyMap<number, number>>,
  ): Promise<ResyncProgress | null> {
    const channel = this.#registry.channels().get(row.channel);
    if (!channel) return null;
    const counts = queued.get(row.channel) ?? (await this.#queue.queued(row.channel));
    queued.set(row.channel, counts);
    return {
      ...this.#history.of(row.channel, now),
      channel,
      settledLately: this.#countSettledSince.get(row.number, now - RATE_PERIOD_MS) ?? 0,
      latelyMs: latelyMs(row, now),
      callMs: row.call_ms,
      restoreMs: this.#restoreMs.get(row.number) ?? null,
      lastAskedAt: row.last_asked_at,
      ahead: queuedAhead(counts, row.number),
    };
  }
}
