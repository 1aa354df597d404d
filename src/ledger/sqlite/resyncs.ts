import { GatewayError } from '../../errors.js';
import type { ResyncMessageStatus } from '../../model.js';
import { messageKey } from '../keys.js';
import type { CallResult, ResyncCall, ResyncRequest } from '../ledger.js';
import type { Db } from './database.js';
import type { SqliteRegistry } from './registry.js';

interface CallRow {
  resync: number;
  resync_id: string;
  position: number;
  channel: string;
  message_id: string;
  window_seconds: number;
  created_at: number;
  calls: number;
  polls: number;
}

/** In which statuses a message has a call to come; `requesting` where the lease of one ran out. */
const STATUSES_OF: Readonly<Record<ResyncCall['kind'], readonly ResyncMessageStatus[]>> = {
  resync: ['requesting', 'queued'],
  poll: ['waiting'],
};

/** Registrations from before the call to Whapi until their windows close (I2). For use inside a transaction. */
export class SqliteResyncs {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #numberOf;
  readonly #due;
  readonly #asked;
  readonly #polled;
  readonly #settle;

  constructor(db: Db, registry: SqliteRegistry) {
    this.#db = db;
    this.#registry = registry;
    this.#numberOf = db.prepare<[string], number>('SELECT number FROM resyncs WHERE id = ?').pluck();
    this.#due = db.prepare<[string, ResyncMessageStatus, number], CallRow>(
      `SELECT m.resync, r.id AS resync_id, m.position, m.channel, m.message_id, r.window_seconds, r.created_at, m.calls, m.polls
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.channel = ? AND m.status = ? AND m.next_at <= ?
       ORDER BY m.next_at, m.resync, m.position LIMIT 1`,
    );
    // I2: from here on Whapi may have been asked, so the window has an end and the id is remembered past it.
    this.#asked = db.prepare(
      `UPDATE resync_messages SET status = 'requesting', asked_at = ?, calls = calls + 1, refused = 0, closes_at = ?, next_at = ?
       WHERE resync = ? AND position = ?`,
    );
    this.#polled = db.prepare(
      'UPDATE resync_messages SET polls = polls + 1, next_at = ? WHERE resync = ? AND position = ?',
    );
    this.#settle = db.prepare(
      `UPDATE resync_messages SET
         status = CASE WHEN status = @expected THEN @status ELSE status END,
         next_at = CASE WHEN status = @expected THEN @nextAt ELSE next_at END,
         error = CASE WHEN status = @expected THEN @error ELSE error END,
         restored_at = CASE WHEN status = @expected AND @status = 'restored' THEN @now ELSE restored_at END,
         closes_at = coalesce(@closesAt, closes_at),
         refused = coalesce(@refused, refused)
       WHERE resync = @resync AND position = @position AND closed = 0 AND @made = CASE @kind WHEN 'resync' THEN calls ELSE polls END`,
    );
  }

  /** Returns the public id. @throws GatewayError GW_NOT_FOUND, GW_IDEMPOTENCY_MISMATCH */
  register(request: ResyncRequest, id: string, now: number): string {
    this.#registry.mustHaveChannel(request.channel);
    const before = this.#madeWithSameKey(request);
    if (before) return before;
    const { lastInsertRowid } = this.#db
      .prepare(
        `INSERT INTO resyncs (id, channel, deliver_unseen, window_seconds, idempotency_key, fingerprint, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        id,
        request.channel,
        request.deliverUnseen ? 1 : 0,
        request.windowSeconds,
        request.idempotency?.key ?? null,
        request.idempotency?.fingerprint ?? null,
        now,
      );
    const insert = this.#db.prepare(
      `INSERT INTO resync_messages (resync, position, message_id, key, channel, status, calls, polls, refused, closed, next_at)
       VALUES (?, ?, ?, ?, ?, 'queued', 0, 0, 0, 0, ?)`,
    );
    [...new Set(request.messageIds)].forEach((messageId, position) => {
      insert.run(lastInsertRowid, position, messageId, messageKey(request.channel, messageId), request.channel, now);
    });
    return id;
  }

  #madeWithSameKey({ idempotency }: ResyncRequest): string | null {
    if (!idempotency) return null;
    const row = this.#db
      .prepare<[string], { id: string; fingerprint: string }>(
        'SELECT id, fingerprint FROM resyncs WHERE idempotency_key = ?',
      )
      .get(idempotency.key);
    if (row && row.fingerprint !== idempotency.fingerprint) {
      throw new GatewayError(
        'GW_IDEMPOTENCY_MISMATCH',
        'This Idempotency-Key was used with another body. Send that body again, or use a new key.',
      );
    }
    return row?.id ?? null;
  }

  takeCall(channelName: string, prefer: ResyncCall['kind'], now: number, leaseMs: number): ResyncCall | null {
    const channel = this.#registry.channels().get(channelName);
    if (!channel) return null;
    const kinds: ResyncCall['kind'][] = prefer === 'resync' ? ['resync', 'poll'] : ['poll', 'resync'];
    for (const kind of kinds) {
      const row = STATUSES_OF[kind]
        .map((status) => this.#due.get(channelName, status, now))
        .find((due) => due !== undefined);
      if (!row) continue;
      const closesAt = now + row.window_seconds * 1000;
      if (kind === 'resync') this.#asked.run(now, closesAt, now + leaseMs, row.resync, row.position);
      else this.#polled.run(now + leaseMs, row.resync, row.position);
      return {
        kind,
        resyncId: row.resync_id,
        position: row.position,
        channel,
        messageId: row.message_id,
        windowSeconds: row.window_seconds,
        registeredAt: row.created_at,
        made: kind === 'resync' ? row.calls : row.polls,
      };
    }
    return null;
  }

  settleCall(call: ResyncCall, result: CallResult, now: number): void {
    this.#settle.run({
      expected: call.kind === 'resync' ? 'requesting' : 'waiting',
      status: result.status,
      nextAt: result.nextAt,
      error: result.error ?? null,
      closesAt: result.closesAt ?? null,
      refused: result.refused === undefined ? null : Number(result.refused),
      now,
      resync: this.#numberOf.get(call.resyncId),
      position: call.position,
      // A call whose lease ran out and that was made again meanwhile no longer speaks for the message.
      kind: call.kind,
      made: call.made + 1,
    });
  }

  /** Calls that a process which is no more was making: they are made again. */
  requeueInterrupted(now: number): void {
    this.#db.prepare("UPDATE resync_messages SET status = 'queued', next_at = ? WHERE status = 'requesting'").run(now);
  }

  pendingCalls(): { channel: string; dueAt: number }[] {
    const firstDue = this.#db
      .prepare<[string, string], number>(
        'SELECT next_at FROM resync_messages WHERE channel = ? AND status = ? AND next_at IS NOT NULL ORDER BY next_at LIMIT 1',
      )
      .pluck();
    return [...this.#registry.channels().keys()].flatMap((channel) => {
      const times = Object.values(STATUSES_OF)
        .flat()
        .flatMap((status) => firstDue.get(channel, status) ?? []);
      return times.length > 0 ? [{ channel, dueAt: Math.min(...times) }] : [];
    });
  }

  /** At most `limit` windows. Returns how many were closed. */
  closeWindows(now: number, limit: number): number {
    const rows = this.#db
      .prepare<[number, number], { resync: number; position: number; key: Buffer; status: string; refused: number }>(
        'SELECT resync, position, key, status, refused FROM resync_messages WHERE closed = 0 AND closes_at <= ? LIMIT ?',
      )
      .all(now, limit);
    const close = this.#db.prepare(
      `UPDATE resync_messages SET closed = 1, next_at = NULL,
         status = CASE WHEN status IN ('queued', 'requesting', 'waiting') THEN 'not_restored' ELSE status END
       WHERE resync = ? AND position = ?`,
    );
    // Should it come after all, months later, it is a duplicate and not new. A refused call brings nothing back, so
    // there the next webhook with this id is a genuine one.
    const remember = this.#db.prepare(
      `INSERT INTO ledger (key, last_seen_at) VALUES (?, ?)
       ON CONFLICT (key) DO UPDATE SET seeded_at = NULL WHERE first_seen_at IS NULL`,
    );
    for (const { resync, position, key, refused } of rows) {
      close.run(resync, position);
      if (refused === 0) remember.run(key, now);
    }
    return rows.length;
  }

  /** @throws GatewayError GW_NOT_FOUND */
  cancel(id: string, now: number): void {
    const number = this.#numberOf.get(id);
    if (number === undefined) throw new GatewayError('GW_NOT_FOUND', `There is no resync "${id}".`);
    this.#cancelNumber(number, now);
  }

  cancelAllOf(channel: string, now: number): void {
    const numbers = this.#db
      .prepare<[string], number>('SELECT number FROM resyncs WHERE channel = ? AND cancelled_at IS NULL')
      .pluck()
      .all(channel);
    for (const number of numbers) this.#cancelNumber(number, now);
  }

  /**
   * What Whapi was never asked for closes at once; what it was asked for keeps its window, for its webhook may be on the
   * way. Nothing more is asked, polls included. A resync that is over already stays finished.
   */
  #cancelNumber(number: number, now: number): void {
    const { changes } = this.#db
      .prepare(
        `UPDATE resync_messages SET status = 'cancelled', next_at = NULL,
           closed = CASE WHEN asked_at IS NULL THEN 1 ELSE closed END
         WHERE resync = ? AND status IN ('queued', 'requesting', 'waiting')`,
      )
      .run(number);
    if (changes > 0) this.#db.prepare('UPDATE resyncs SET cancelled_at = ? WHERE number = ?').run(now, number);
  }
}
