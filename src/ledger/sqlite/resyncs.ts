import { GatewayError } from '../../errors.js';
import type { ResyncMessageStatus } from '../../model.js';
import type { CallResult, ChannelCalls, CheckResult, ResyncCall, ResyncRequest } from '../ledger.js';
import type { SqliteChannelCalls } from './channel-calls.js';
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

/** Weight of the newest call in the usual duration of one. */
const NEWEST_CALL = 0.2;

/** Registered ids from the call to Whapi until their windows close (I2). For use inside a transaction. */
export class SqliteResyncs {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #history: SqliteChannelCalls;
  readonly #numberOf;
  readonly #due;
  readonly #asked;
  readonly #noteAsked;
  readonly #polled;
  readonly #settle;
  readonly #noteDuration;
  readonly #restoreOthers;

  constructor(db: Db, registry: SqliteRegistry, history: SqliteChannelCalls) {
    this.#db = db;
    this.#registry = registry;
    this.#history = history;
    this.#numberOf = db.prepare<[string], number>('SELECT number FROM resyncs WHERE id = ?').pluck();
    this.#due = db.prepare<[string, ResyncMessageStatus, number], CallRow>(
      `SELECT m.resync, r.id AS resync_id, m.position, m.channel, m.message_id, r.window_seconds, r.created_at, m.calls, m.polls
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.channel = ? AND m.status = ? AND m.next_at <= ? AND r.complete = 1
       ORDER BY m.next_at, m.resync, m.position LIMIT 1`,
    );
    // I2: from here on Whapi may have been asked, so the window has an end and the id is remembered past it.
    this.#asked = db.prepare(
      `UPDATE resync_messages SET status = 'requesting', asked_at = ?, calls = calls + 1, refused = 0, closes_at = ?, next_at = ?
       WHERE resync = ? AND position = ?`,
    );
    this.#noteAsked = db.prepare('UPDATE resyncs SET last_asked_at = ? WHERE number = ?');
    this.#polled = db.prepare(
      'UPDATE resync_messages SET polls = polls + 1, next_at = ? WHERE resync = ? AND position = ?',
    );
    this.#settle = db.prepare(
      `UPDATE resync_messages SET
         status = CASE WHEN status = @expected THEN @status ELSE status END,
         next_at = CASE WHEN status = @expected THEN @nextAt ELSE next_at END,
         error = CASE WHEN status = @expected THEN @error ELSE error END,
         restored_at = CASE WHEN status = @expected AND @status = 'restored' THEN @now ELSE restored_at END,
         proof = CASE WHEN status = @expected AND @status = 'restored' THEN 'look' ELSE proof END,
         settled_at = CASE WHEN status = @expected AND @status IN ('restored', 'failed') THEN @now ELSE settled_at END,
         closes_at = CASE WHEN @closesAt IS NULL AND @reopens = 1 AND status = @expected THEN NULL
                     ELSE coalesce(@closesAt, closes_at) END,
         refused = coalesce(@refused, refused)
       WHERE resync = @resync AND position = @position AND closed = 0 AND @made = CASE @kind WHEN 'resync' THEN calls ELSE polls END`,
    );
    this.#noteDuration = db.prepare(
      `UPDATE resyncs SET call_ms = coalesce(call_ms * ${1 - NEWEST_CALL} + @tookMs * ${NEWEST_CALL}, @tookMs) WHERE number = @resync`,
    );
    // Who wants the message to go to the bots needs its webhook, and a look is none.
    this.#restoreOthers = db.prepare(
      `UPDATE resync_messages SET status = 'restored', restored_at = @now, settled_at = @now, proof = 'look', next_at = NULL,
         error = NULL, closes_at = coalesce(closes_at, @now + 1000 * (SELECT window_seconds FROM resyncs WHERE number = resync))
       WHERE key = (SELECT key FROM resync_messages WHERE resync = @resync AND position = @position AND status = 'restored')
         AND closed = 0 AND status IN ('queued', 'requesting', 'waiting')
         AND (SELECT deliver_unseen FROM resyncs WHERE number = resync) = 0`,
    );
  }

  /** Takes the first call for the only id of a resync that was registered just now. */
  takeFirst(request: ResyncRequest, id: string, now: number, leaseMs: number): ResyncCall {
    const resync = this.#numberOf.get(id);
    const { windowSeconds } = request;
    this.#asked.run(now, now + windowSeconds * 1000, now + leaseMs, resync, 0);
    this.#noteAsked.run(now, resync);
    return {
      ...{ kind: 'resync', resyncId: id, position: 0, windowSeconds, registeredAt: now, made: 0 },
      channel: this.#registry.mustHaveChannel(request.channel),
      messageId: request.messageIds[0] ?? '',
    };
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
      if (kind === 'resync') {
        this.#asked.run(now, closesAt, now + leaseMs, row.resync, row.position);
        this.#noteAsked.run(now, row.resync);
      } else this.#polled.run(now + leaseMs, row.resync, row.position);
      this.#history.count(channelName, now);
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
    const resync = this.#numberOf.get(call.resyncId);
    this.#settle.run({
      expected: call.kind === 'resync' ? 'requesting' : 'waiting',
      status: result.status,
      nextAt: result.nextAt,
      error: result.error ?? null,
      closesAt: result.closesAt ?? null,
      reopens: Number(result.closesAt === null),
      refused: result.refused === undefined ? null : Number(result.refused),
      now,
      resync,
      position: call.position,
      // A call whose lease ran out and that was made again meanwhile no longer speaks for the message.
      kind: call.kind,
      made: call.made + 1,
    });
    if (result.status === 'restored') this.#restoreOthers.run({ now, resync, position: call.position });
    const { pause = null, tookMs } = result;
    if (call.kind === 'resync' && !pause && tookMs !== undefined) this.#noteDuration.run({ tookMs, resync });
    this.#history.settle(call.channel.name, pause, now);
  }

  settleCheck(channel: string, { pause, wasAway }: CheckResult, now: number): void {
    if (wasAway) this.#askAgain(channel, this.#history.of(channel, now).healthyAt ?? 0, now);
    this.#history.settleCheck(channel, pause, now);
  }

  /** What was asked for after Whapi last said that the phone is there may never have reached it. */
  #askAgain(channel: string, since: number, now: number): void {
    this.#db
      .prepare(
        `UPDATE resync_messages SET status = 'queued', next_at = @now, closes_at = NULL
         WHERE channel = @channel AND status = 'waiting' AND next_at IS NOT NULL AND asked_at >= @since AND closed = 0`,
      )
      .run({ channel, since, now });
  }

  /** Calls that a process which is no more was making: they are made again. */
  requeueInterrupted(now: number): void {
    this.#db
      .prepare(
        "UPDATE resync_messages SET status = 'queued', next_at = ?, closes_at = NULL WHERE status = 'requesting' AND closed = 0",
      )
      .run(now);
  }

  pendingCalls(now: number): ChannelCalls[] {
    const firstDue = this.#db
      .prepare<[string, string], number>(
        `SELECT m.next_at FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.channel = ? AND m.status = ? AND m.next_at IS NOT NULL AND r.complete = 1 ORDER BY m.next_at LIMIT 1`,
      )
      .pluck();
    return [...this.#registry.channels().values()].flatMap((channel) => {
      const dueOf = (kind: ResyncCall['kind']): number[] =>
        STATUSES_OF[kind].flatMap((status) => firstDue.get(channel.name, status) ?? []);
      const [asks, looks] = [dueOf('resync'), dueOf('poll')];
      if (asks.length + looks.length === 0) return [];
      const askDueAt = asks.length > 0 ? Math.min(...asks) : null;
      return [{ ...this.#history.of(channel.name, now), channel, dueAt: Math.min(...asks, ...looks), askDueAt }];
    });
  }

  hasWindowsToClose(now: number): boolean {
    return (
      this.#db
        .prepare<[number]>('SELECT 1 FROM resync_messages WHERE closed = 0 AND closes_at <= ? LIMIT 1')
        .get(now) !== undefined
    );
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
         settled_at = CASE WHEN status IN ('queued', 'requesting', 'waiting') THEN @now ELSE settled_at END,
         status = CASE WHEN status IN ('queued', 'requesting', 'waiting') THEN 'not_restored' ELSE status END
       WHERE resync = @resync AND position = @position`,
    );
    // Should it come after all, months later, it is a duplicate and not new, its first post included. A refused call brings
    // nothing back, so there the next webhook with this id is a genuine one, unless the message came all the same.
    const remember = this.#db.prepare(
      `INSERT INTO ledger (key, last_seen_at) VALUES (?, ?)
       ON CONFLICT (key) DO UPDATE SET unposted = 0, seeded_at = CASE WHEN first_seen_at IS NULL THEN NULL ELSE seeded_at END
       WHERE unposted = 1 OR first_seen_at IS NULL`,
    );
    for (const { resync, position, key, refused, status } of rows) {
      close.run({ now, resync, position });
      if (refused === 0 || status === 'restored') remember.run(key, now);
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
        `UPDATE resync_messages SET status = 'cancelled', next_at = NULL, settled_at = @now,
           closed = CASE WHEN asked_at IS NULL THEN 1 ELSE closed END,
           closes_at = coalesce(closes_at, asked_at + 1000 * (SELECT window_seconds FROM resyncs WHERE number = @number))
         WHERE resync = @number AND status IN ('queued', 'requesting', 'waiting')`,
      )
      .run({ number, now });
    if (changes > 0) this.#db.prepare('UPDATE resyncs SET cancelled_at = ? WHERE number = ?').run(now, number);
  }
}
