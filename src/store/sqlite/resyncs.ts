import { GatewayError } from '../../errors.js';
import type { ResyncMessageStatus } from '../../model.js';
import { messageKey } from '../rules/keys.js';
import type { SqliteChannelCalls } from './channel-calls.js';
import type { Db } from './database.js';
import { COMING, Registered } from './registered.js';
import type { RegisteredRow } from './registered.js';
import type { SqliteRegistry } from './registry.js';
import type { CallsDue, ChannelCalls, CheckResult } from '../calls.js';
import type { CallResult, ResyncCall } from '../resyncs.js';

interface CallRow {
  resync: number;
  resync_id: string;
  position: number;
  channel: string;
  message_id: string;
  key: Buffer;
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

/** Who wants the message to go to the bots needs its webhook: a look proves nothing before the id was asked for. */
const NEEDS_WEBHOOK = 'known = 0 AND calls = 0 AND (SELECT deliver_unseen FROM resyncs WHERE number = resync) = 1';

/**
 * Registered ids from the call to Whapi until their windows close (I2). What is done for one id is done for all resyncs
 * that are bringing it back: see registered.ts. For use inside a transaction.
 */
export class SqliteResyncs {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #history: SqliteChannelCalls;
  readonly #registered: Registered;
  readonly #numberOf;
  readonly #due;
  readonly #firstDue;
  readonly #asked;
  readonly #askedRestored;
  readonly #noteAsked;
  readonly #polled;
  readonly #askedAt;
  readonly #settle;
  readonly #noteDuration;
  readonly #restoreOthers;
  readonly #askForWebhook;

  constructor(db: Db, registry: SqliteRegistry, history: SqliteChannelCalls) {
    this.#db = db;
    this.#registry = registry;
    this.#history = history;
    this.#registered = new Registered(db);
    this.#numberOf = db.prepare<[string], number>('SELECT number FROM resyncs WHERE id = ?').pluck();
    this.#due = db.prepare<[string, ResyncMessageStatus, number], CallRow>(
      `SELECT m.resync, r.id AS resync_id, m.position, m.channel, m.message_id, m.key, r.created_at, m.calls, m.polls
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.channel = ? AND m.status = ? AND m.next_at <= ? AND r.complete = 1
       ORDER BY m.next_at, m.resync, m.position LIMIT 1`,
    );
    this.#firstDue = db
      .prepare<[string, string], number>(
        `SELECT m.next_at FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.channel = ? AND m.status = ? AND m.next_at IS NOT NULL AND r.complete = 1 ORDER BY m.next_at LIMIT 1`,
      )
      .pluck();
    // I2: from here on Whapi may have been asked, so the window has an end and the id is remembered past it.
    this.#asked = db.prepare(
      `UPDATE resync_messages SET status = 'requesting', asked_at = @now, calls = calls + 1, refused = 0,
         closes_at = @closesAt, next_at = @nextAt
       WHERE key = @key AND ${COMING}`,
    );
    this.#askedRestored = db.prepare(
      `UPDATE resync_messages SET asked_at = @now, calls = calls + 1, closes_at = max(closes_at, @closesAt)
       WHERE resync = @resync AND position = @position`,
    );
    this.#noteAsked = db.prepare(
      `UPDATE resyncs SET last_asked_at = @now
       WHERE number IN (SELECT resync FROM resync_messages WHERE key = @key AND closed = 0 AND asked_at = @now)`,
    );
    this.#polled = db.prepare(
      `UPDATE resync_messages SET polls = polls + 1, next_at = @nextAt WHERE key = @key AND closed = 0 AND status = 'waiting'`,
    );
    this.#askedAt = db
      .prepare<[number | undefined, number, string, number], number | null>(
        `SELECT asked_at FROM resync_messages
         WHERE resync = ? AND position = ? AND CASE ? WHEN 'resync' THEN calls ELSE polls END = ?`,
      )
      .pluck();
    // Those that the call was made for: they wait for its answer, or did so until a webhook or a person was quicker.
    this.#settle = db.prepare(
      `UPDATE resync_messages SET
         status = CASE WHEN status = @expected THEN @status ELSE status END,
         next_at = CASE WHEN status = @expected THEN @nextAt ELSE next_at END,
         error = CASE WHEN status = @expected THEN @error ELSE error END,
         restored_at = CASE WHEN status = @expected AND @status = 'restored' THEN @now ELSE restored_at END,
         proof = CASE WHEN status = @expected AND @status = 'restored' THEN 'poll' ELSE proof END,
         settled_at = CASE WHEN status = @expected AND @status IN ('restored', 'failed') THEN @now ELSE settled_at END,
         closes_at = CASE WHEN @closesAt IS NULL AND @reopens = 1 AND status = @expected THEN NULL
                     WHEN status = 'restored' THEN max(closes_at, coalesce(@closesAt, closes_at))
                     ELSE coalesce(@closesAt, closes_at) END,
         refused = CASE WHEN status = 'restored' THEN refused ELSE coalesce(@refused, refused) END
       WHERE key = @key AND closed = 0 AND (status = @expected OR asked_at = @askedAt)
         AND NOT (@status = 'restored' AND ${NEEDS_WEBHOOK})`,
    );
    this.#noteDuration = db.prepare(
      `UPDATE resyncs SET call_ms = coalesce(call_ms * ${1 - NEWEST_CALL} + @tookMs * ${NEWEST_CALL}, @tookMs)
       WHERE number IN (SELECT resync FROM resync_messages WHERE key = @key AND closed = 0 AND asked_at = @askedAt)`,
    );
    this.#restoreOthers = db.prepare(
      `UPDATE resync_messages SET status = 'restored', restored_at = @now, settled_at = @now, proof = 'poll', next_at = NULL,
         error = NULL, closes_at = coalesce(closes_at, @now + 1000 * (SELECT window_seconds FROM resyncs WHERE number = resync))
       WHERE key = @key AND ${COMING} AND (SELECT deliver_unseen FROM resyncs WHERE number = resync) = 0`,
    );
    this.#askForWebhook = db.prepare(
      `UPDATE resync_messages SET status = 'queued', next_at = @now, closes_at = NULL
       WHERE key = @key AND closed = 0 AND status = 'waiting' AND ${NEEDS_WEBHOOK}`,
    );
  }

  /** Takes the call for ids that were registered just now, by whoever makes it. */
  takeAsked(rows: readonly RegisteredRow[], channelName: string, ids: readonly string[], now: number, leaseMs: number) {
    const channel = this.#registry.mustHaveChannel(channelName);
    return rows.map((row, at): ResyncCall => {
      const messageId = ids[at] ?? '';
      const key = messageKey(channelName, messageId);
      const windowSeconds = row.status === 'restored' ? row.windowSeconds : this.#ask(key, now, leaseMs);
      const { resync, position, resyncId, registeredAt, calls } = row;
      if (row.status === 'restored') {
        this.#askedRestored.run({ now, closesAt: now + windowSeconds * 1000, resync, position });
        this.#noteAsked.run({ now, key });
      }
      return { kind: 'resync', resyncId, position, windowSeconds, registeredAt, made: calls, channel, messageId };
    });
  }

  /** Returns the length of the window, in seconds. */
  #ask(key: Buffer, now: number, leaseMs: number): number {
    const windowSeconds = this.#registered.windowSeconds(key) ?? 0;
    this.#asked.run({ key, now, closesAt: now + windowSeconds * 1000, nextAt: now + leaseMs });
    this.#noteAsked.run({ now, key });
    return windowSeconds;
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
      const windowSeconds = this.#registered.windowSeconds(row.key) ?? 0;
      if (kind === 'resync') this.#ask(row.key, now, leaseMs);
      else this.#polled.run({ key: row.key, nextAt: now + leaseMs });
      this.#history.count(channelName, now);
      return {
        kind,
        resyncId: row.resync_id,
        position: row.position,
        channel,
        messageId: row.message_id,
        windowSeconds,
        registeredAt: row.created_at,
        made: kind === 'resync' ? row.calls : row.polls,
      };
    }
    return null;
  }

  settleCall(call: ResyncCall, result: CallResult, now: number): void {
    const { kind, channel, messageId } = call;
    // A call whose lease ran out and that was made again meanwhile no longer speaks for the message.
    const askedAt = this.#askedAt.get(this.#numberOf.get(call.resyncId), call.position, kind, call.made + 1);
    const { pause = null, tookMs } = result;
    if (askedAt !== undefined) {
      const key = messageKey(channel.name, messageId);
      this.#settle.run({
        expected: kind === 'resync' ? 'requesting' : 'waiting',
        status: result.status,
        nextAt: result.nextAt,
        error: result.error ?? null,
        closesAt: this.#closesAt(call, result, key),
        reopens: Number(result.closesAt === null),
        refused: result.refused === undefined ? null : Number(result.refused),
        now,
        key,
        askedAt: kind === 'resync' ? askedAt : null,
      });
      if (result.status === 'restored') {
        this.#restoreOthers.run({ now, key });
        this.#askForWebhook.run({ now, key });
      }
      if (kind === 'resync' && !pause && tookMs !== undefined) this.#noteDuration.run({ tookMs, key, askedAt });
    }
    this.#history.settle(channel.name, pause, now);
  }

  /** Whoever joined while the call was under way may want a longer window than the call was made with. */
  #closesAt({ windowSeconds }: ResyncCall, { closesAt, refused }: CallResult, key: Buffer): number | null {
    if (closesAt === undefined || closesAt === null) return null;
    const longest = refused === true ? 0 : (this.#registered.windowSeconds(key) ?? 0);
    return closesAt + 1000 * Math.max(0, longest - windowSeconds);
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
    return [...this.#registry.channels().values()].flatMap((channel) => {
      const due = this.nextCalls(channel.name);
      return due ? [{ ...this.#history.of(channel.name, now), channel, ...due }] : [];
    });
  }

  nextCalls(channel: string): CallsDue | null {
    const dueOf = (kind: ResyncCall['kind']): number[] =>
      STATUSES_OF[kind].flatMap((status) => this.#firstDue.get(channel, status) ?? []);
    const [asks, polls] = [dueOf('resync'), dueOf('poll')];
    if (asks.length + polls.length === 0) return null;
    return { dueAt: Math.min(...asks, ...polls), askDueAt: asks.length > 0 ? Math.min(...asks) : null };
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
