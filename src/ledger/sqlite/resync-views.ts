import type { Proof, ResyncMessageStatus, ResyncStatus } from '../../model.js';
import { RESYNC_MESSAGE_STATUSES } from '../../model.js';
import { decodeCursor, encodeCursor } from '../ids.js';
import type {
  Page,
  PageRequest,
  ResyncMessageFilter,
  ResyncMessageView,
  ResyncProgress,
  ResyncReport,
  ResyncView,
} from '../views.js';
import type { SqliteChannelCalls } from './channel-calls.js';
import type { Db } from './database.js';
import { allOf, BEYOND } from './filters.js';
import { paged } from './paging.js';
import type { SqliteRegistry } from './registry.js';

interface ResyncRow {
  number: number;
  id: string;
  channel: string;
  deliver_unseen: number;
  window_seconds: number;
  created_at: number;
  cancelled_at: number | null;
  last_asked_at: number | null;
  call_ms: number | null;
}

export interface ResyncMessageRow {
  position: number;
  resync_id: string;
  message_id: string;
  status: ResyncMessageStatus;
  calls: number;
  polls: number;
  created_at: number;
  asked_at: number | null;
  restored_at: number | null;
  proof: Proof | null;
  known: number;
  held: number;
  closes_at: number | null;
  error: string | null;
}

/** Its sightings but the first one by rule 10, to which the ledger points: that one was sent on. */
const IS_HELD = 'EXISTS (SELECT 1 FROM sightings s WHERE s.message_key = m.key AND s.rule <> 10 AND s.held = 1)';

/** Of `resync_messages m` and `resyncs r`. */
export const RESYNC_MESSAGE_COLUMNS = `m.position, r.id AS resync_id, m.message_id, m.status, m.calls, m.polls, r.created_at, m.asked_at,
  m.restored_at, m.proof, m.known, ${IS_HELD} AS held, m.closes_at, m.error`;

const LATELY_MS = 5 * 60 * 1000;
/** Restored messages from which the usual time to a proof is taken. */
const PROOFS_LOOKED_AT = 50;
const MOST_FAILURES = 20;

/** What people look at of resyncs; reads only. */
export class SqliteResyncViews {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #history: SqliteChannelCalls;
  readonly #counts;
  readonly #finishedAt;
  readonly #settledSince;
  readonly #restoreMs;
  readonly #ahead;

  constructor(db: Db, registry: SqliteRegistry, history: SqliteChannelCalls) {
    this.#db = db;
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
    this.#settledSince = db
      .prepare<[number, number], number>('SELECT count(*) FROM resync_messages WHERE resync = ? AND settled_at > ?')
      .pluck();
    this.#restoreMs = db
      .prepare<[number], number | null>(
        `SELECT avg(ms) FROM (SELECT restored_at - asked_at AS ms FROM resync_messages
           WHERE resync = ? AND settled_at IS NOT NULL AND restored_at >= asked_at
           ORDER BY settled_at DESC LIMIT ${PROOFS_LOOKED_AT})`,
      )
      .pluck();
    this.#ahead = db
      .prepare<[string, number], number>(
        `SELECT count(*) FROM resync_messages
         WHERE channel = ? AND status = 'queued' AND next_at IS NOT NULL AND resync < ?`,
      )
      .pluck();
  }

  resyncs({ limit, cursor }: PageRequest, now: number): Page<ResyncView> {
    const [before = BEYOND] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows = this.#db
      .prepare<unknown[], ResyncRow>(
        'SELECT * FROM resyncs WHERE number < ? AND complete = 1 ORDER BY number DESC LIMIT ?',
      )
      .all(before, limit + 1);
    return paged(
      rows,
      limit,
      (row) => this.#resyncView(row, now),
      (row) => encodeCursor(row.number),
    );
  }

  resync(id: string, now: number): ResyncView | null {
    const row = this.#rowOf(id);
    return row ? this.#resyncView(row, now) : null;
  }

  resyncMessages(
    id: string,
    { limit, cursor }: PageRequest,
    { status, held }: ResyncMessageFilter = {},
  ): Page<ResyncMessageView> {
    const [after = -1] = cursor === null ? [] : decodeCursor(cursor, 1);
    const { where, values } = allOf([
      ['r.id = ?', id],
      ['m.position > ?', after],
      status !== undefined && ['m.status = ?', status],
      held !== undefined && [held ? IS_HELD : `NOT ${IS_HELD}`],
    ]);
    const rows = this.#db
      .prepare<unknown[], ResyncMessageRow>(
        `SELECT ${RESYNC_MESSAGE_COLUMNS} FROM resyncs r JOIN resync_messages m ON m.resync = r.number
         WHERE ${where} ORDER BY m.position LIMIT ?`,
      )
      .all(...values, limit + 1);
    return paged(rows, limit, resyncMessageView, (row) => encodeCursor(row.position));
  }

  resyncReport(id: string, now: number): ResyncReport | null {
    const row = this.#rowOf(id);
    if (!row) return null;
    const totals = this.#db
      .prepare<[number], Omit<ResyncReport, 'resync' | 'failures' | 'proofs'> & Record<Proof, number>>(
        `SELECT coalesce(sum(known), 0) AS alreadyKnown, coalesce(sum(1 - known), 0) AS neverSeenBefore,
           coalesce(sum(proof = 'look'), 0) AS look, count(*) - coalesce(sum(proof = 'look'), 0) AS webhook,
           coalesce(sum(${IS_HELD}), 0) AS held
         FROM resync_messages m WHERE resync = ? AND status = 'restored'`,
      )
      .get(row.number);
    const made = this.#db
      .prepare<[number], { calls: number; polls: number }>(
        'SELECT coalesce(sum(calls), 0) AS calls, coalesce(sum(polls), 0) AS polls FROM resync_messages WHERE resync = ?',
      )
      .get(row.number);
    const failures = this.#db
      .prepare<[number], { error: string; count: number }>(
        `SELECT coalesce(error, '') AS error, count(*) AS count FROM resync_messages WHERE resync = ? AND status = 'failed'
         GROUP BY error ORDER BY 2 DESC, 1 LIMIT ${MOST_FAILURES}`,
      )
      .all(row.number);
    return {
      resync: this.#resyncView(row, now),
      alreadyKnown: totals?.alreadyKnown ?? 0,
      neverSeenBefore: totals?.neverSeenBefore ?? 0,
      calls: made?.calls ?? 0,
      polls: made?.polls ?? 0,
      proofs: { webhook: totals?.webhook ?? 0, look: totals?.look ?? 0 },
      failures,
      held: totals?.held ?? 0,
    };
  }

  #rowOf(id: string): ResyncRow | undefined {
    return this.#db.prepare<[string], ResyncRow>('SELECT * FROM resyncs WHERE id = ? AND complete = 1').get(id);
  }

  #resyncView(row: ResyncRow, now: number): ResyncView {
    const counts = Object.fromEntries(RESYNC_MESSAGE_STATUSES.map((status) => [status, 0])) as Record<
      ResyncMessageStatus,
      number
    >;
    for (const { status, count } of this.#counts.all(row.number)) counts[status] = count;
    const isOver = counts.queued + counts.requesting + counts.waiting === 0;
    return {
      id: row.id,
      channel: row.channel,
      status: statusOf(row, isOver),
      counts,
      deliverUnseen: row.deliver_unseen === 1,
      windowSeconds: row.window_seconds,
      createdAt: row.created_at,
      finishedAt: isOver ? (this.#finishedAt.get(row.number) ?? null) : null,
      progress: isOver ? null : this.#progress(row, now),
    };
  }

  #progress(row: ResyncRow, now: number): ResyncProgress | null {
    const channel = this.#registry.channels().get(row.channel);
    if (!channel) return null;
    return {
      ...this.#history.of(row.channel, now),
      channel,
      settledLately: this.#settledSince.get(row.number, now - LATELY_MS) ?? 0,
      latelyMs: Math.min(LATELY_MS, Math.max(now - row.created_at, 0)),
      callMs: row.call_ms,
      restoreMs: this.#restoreMs.get(row.number) ?? null,
      lastAskedAt: row.last_asked_at,
      ahead: this.#ahead.get(row.channel, row.number) ?? 0,
    };
  }
}

function statusOf(row: ResyncRow, isOver: boolean): ResyncStatus {
  if (row.cancelled_at !== null) return 'cancelled';
  return isOver ? 'finished' : 'running';
}

export function resyncMessageView(row: ResyncMessageRow): ResyncMessageView {
  return {
    resyncId: row.resync_id,
    messageId: row.message_id,
    status: row.status,
    calls: row.calls,
    polls: row.polls,
    registeredAt: row.created_at,
    askedAt: row.asked_at,
    restoredAt: row.restored_at,
    proof: row.proof,
    known: row.known === 1,
    held: row.held === 1,
    windowClosesAt: row.closes_at,
    error: row.error,
  };
}
