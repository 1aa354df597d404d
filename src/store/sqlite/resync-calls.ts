import type { ResyncMessageStatus } from '../../model.js';
import { messageKey } from '../rules/keys.js';
import { callsDue, closesAtOf, NEWEST_CALL_WEIGHT, STATUSES_WITH_CALL } from '../rules/registrations.js';
import type { OpenRegistration } from '../rules/registrations.js';
import type { CallHistoryTable } from './call-history.js';
import type { Db } from './database.js';
import { IN_PROGRESS, OpenRegistrations } from './open-registrations.js';
import type { RegistryTables } from './registry-tables.js';
import type { RememberedIds } from './remembered-ids.js';
import type { ShownMessages } from './shown-messages.js';
import type { CallsDue, ChannelCalls } from '../calls.js';
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

/** With `deliver_unseen` the webhook must come, so a poll proves nothing before the call with `resync=true` was made. */
const NEEDS_WEBHOOK = 'known = 0 AND calls = 0 AND (SELECT deliver_unseen FROM resyncs WHERE number = resync) = 1';

/**
 * The calls to Whapi for registered ids, from the time they are due to their result (I2). Each statement changes an id in
 * every resync that is bringing it back: see open-registrations.ts. Methods that write are for use inside a transaction.
 */
export class ResyncCallTables {
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #history: CallHistoryTable;
  readonly #ids: Pick<RememberedIds, 'find'>;
  readonly #shown: Pick<ShownMessages, 'save'>;
  readonly #open: OpenRegistrations;
  readonly #numberOf;
  readonly #dueCall;
  readonly #nextDueAt;
  readonly #markRequesting;
  readonly #countCallOfRestored;
  readonly #saveLastAskedAt;
  readonly #countPoll;
  readonly #askedAtOfCall;
  readonly #saveResult;
  readonly #saveDuration;
  readonly #restoreOthers;
  readonly #requeueForWebhook;

  constructor(
    db: Db,
    {
      registry,
      history,
      ids,
      shown,
    }: {
      registry: RegistryTables;
      history: CallHistoryTable;
      ids: Pick<RememberedIds, 'find'>;
      shown: Pick<ShownMessages, 'save'>;
    },
  ) {
    this.#db = db;
    this.#registry = registry;
    this.#history = history;
    this.#ids = ids;
    this.#shown = shown;
    this.#open = new OpenRegistrations(db);
    this.#numberOf = db.prepare<[string], number>('SELECT number FROM resyncs WHERE id = ?').pluck();
    this.#dueCall = db.prepare<[string, ResyncMessageStatus, number], CallRow>(
      `SELECT m.resync, r.id AS resync_id, m.position, m.channel, m.message_id, m.key, r.created_at, m.calls, m.polls
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.channel = ? AND m.status = ? AND m.next_at <= ? AND r.complete = 1
       ORDER BY m.next_at, m.resync, m.position LIMIT 1`,
    );
    this.#nextDueAt = db
      .prepare<[string, string], number>(
        `SELECT m.next_at FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.channel = ? AND m.status = ? AND m.next_at IS NOT NULL AND r.complete = 1 ORDER BY m.next_at LIMIT 1`,
      )
      .pluck();
    // I2: from this commit on Whapi may have been asked, so the window has an end and the id is remembered past it.
    this.#markRequesting = db.prepare(
      `UPDATE resync_messages SET status = 'requesting', asked_at = @now, calls = calls + 1, refused = 0,
         closes_at = @closesAt, next_at = @nextAt
       WHERE key = @key AND ${IN_PROGRESS}`,
    );
    this.#countCallOfRestored = db.prepare(
      `UPDATE resync_messages SET asked_at = @now, calls = calls + 1, closes_at = max(closes_at, @closesAt)
       WHERE resync = @resync AND position = @position`,
    );
    this.#saveLastAskedAt = db.prepare(
      `UPDATE resyncs SET last_asked_at = @now
       WHERE number IN (SELECT resync FROM resync_messages WHERE key = @key AND closed = 0 AND asked_at = @now)`,
    );
    this.#countPoll = db.prepare(
      `UPDATE resync_messages SET polls = polls + 1, next_at = @nextAt WHERE key = @key AND closed = 0 AND status = 'waiting'`,
    );
    this.#askedAtOfCall = db
      .prepare<[number | undefined, number, string, number], number | null>(
        `SELECT asked_at FROM resync_messages
         WHERE resync = ? AND position = ? AND CASE ? WHEN 'resync' THEN calls ELSE polls END = ?`,
      )
      .pluck();
    // The rows that the call was made for: they wait for its answer, or did until a webhook or a cancellation came first.
    this.#saveResult = db.prepare(
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
    this.#saveDuration = db.prepare(
      `UPDATE resyncs SET call_ms = coalesce(call_ms * ${1 - NEWEST_CALL_WEIGHT} + @tookMs * ${NEWEST_CALL_WEIGHT}, @tookMs)
       WHERE number IN (SELECT resync FROM resync_messages WHERE key = @key AND closed = 0 AND asked_at = @askedAt)`,
    );
    this.#restoreOthers = db.prepare(
      `UPDATE resync_messages SET status = 'restored', restored_at = @now, settled_at = @now, proof = 'poll', next_at = NULL,
         error = NULL, closes_at = coalesce(closes_at, @now + 1000 * (SELECT window_seconds FROM resyncs WHERE number = resync))
       WHERE key = @key AND ${IN_PROGRESS} AND (SELECT deliver_unseen FROM resyncs WHERE number = resync) = 0`,
    );
    this.#requeueForWebhook = db.prepare(
      `UPDATE resync_messages SET status = 'queued', next_at = @now, closes_at = NULL
       WHERE key = @key AND closed = 0 AND status = 'waiting' AND ${NEEDS_WEBHOOK}`,
    );
  }

  /** Takes the calls for ids that were registered in this transaction; the caller makes them as one call. */
  takeRegistered(
    rows: readonly OpenRegistration[],
    channelName: string,
    ids: readonly string[],
    now: number,
    leaseMs: number,
  ) {
    const channel = this.#registry.requireChannel(channelName);
    return rows.map((row, at): ResyncCall => {
      const messageId = ids[at] ?? '';
      const key = messageKey(channelName, messageId);
      const windowSeconds = row.status === 'restored' ? row.windowSeconds : this.#startCall(key, now, leaseMs);
      const { resync, position, resyncId, registeredAt, calls } = row;
      if (row.status === 'restored') {
        this.#countCallOfRestored.run({ now, closesAt: now + windowSeconds * 1000, resync, position });
        this.#saveLastAskedAt.run({ now, key });
      }
      return { kind: 'resync', resyncId, position, windowSeconds, registeredAt, made: calls, channel, messageId };
    });
  }

  /** Commits the call as made and returns the length of the window, in seconds. */
  #startCall(key: Buffer, now: number, leaseMs: number): number {
    const windowSeconds = this.#open.windowSeconds(key) ?? 0;
    this.#markRequesting.run({ key, now, closesAt: now + windowSeconds * 1000, nextAt: now + leaseMs });
    this.#saveLastAskedAt.run({ now, key });
    return windowSeconds;
  }

  #startPoll(key: Buffer, now: number, leaseMs: number): number {
    this.#countPoll.run({ key, nextAt: now + leaseMs });
    return this.#open.windowSeconds(key) ?? 0;
  }

  /** See `Resyncs.takeCall`. */
  take(channelName: string, prefer: ResyncCall['kind'], now: number, leaseMs: number): ResyncCall | null {
    const channel = this.#registry.channels().get(channelName);
    if (!channel) return null;
    const kinds: ResyncCall['kind'][] = prefer === 'resync' ? ['resync', 'poll'] : ['poll', 'resync'];
    for (const kind of kinds) {
      const row = STATUSES_WITH_CALL[kind]
        .map((status) => this.#dueCall.get(channelName, status, now))
        .find((due) => due !== undefined);
      if (!row) continue;
      const windowSeconds =
        kind === 'resync' ? this.#startCall(row.key, now, leaseMs) : this.#startPoll(row.key, now, leaseMs);
      this.#history.countCall(channelName, now);
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

  /** See `Resyncs.settleCall`. */
  settle(call: ResyncCall, result: CallResult, now: number): void {
    const { kind, channel, messageId } = call;
    // A call whose lease ran out and that was repeated since says nothing about the message any more.
    const askedAt = this.#askedAtOfCall.get(this.#numberOf.get(call.resyncId), call.position, kind, call.made + 1);
    const { pause = null, tookMs } = result;
    if (askedAt !== undefined) {
      const key = messageKey(channel.name, messageId);
      this.#saveResult.run({
        expected: kind === 'resync' ? 'requesting' : 'waiting',
        status: result.status,
        nextAt: result.nextAt,
        error: result.error ?? null,
        closesAt: closesAtOf(call, result, this.#open.windowSeconds(key) ?? 0),
        reopens: Number(result.closesAt === null),
        refused: result.refused === undefined ? null : Number(result.refused),
        now,
        key,
        askedAt: kind === 'resync' ? askedAt : null,
      });
      if (result.status === 'restored') {
        this.#restoreOthers.run({ now, key });
        this.#requeueForWebhook.run({ now, key });
      }
      if (kind === 'resync' && !pause && tookMs !== undefined) this.#saveDuration.run({ tookMs, key, askedAt });
      if (result.shown !== undefined) {
        const seen = this.#ids.find(key);
        const hasCome = askedAt !== null && seen !== null && seen.firstSeenAt !== null && seen.lastSeenAt >= askedAt;
        this.#shown.save({ channel: channel.name, key, message: result.shown }, hasCome ? key : null, now);
      }
    }
    this.#history.saveAnswer(channel.name, pause, now);
  }

  /** Repeats the calls made at or after `since`, because they may never have reached the phone. */
  repeatSince(channel: string, since: number, now: number): void {
    this.#db
      .prepare(
        `UPDATE resync_messages SET status = 'queued', next_at = @now, closes_at = NULL
         WHERE channel = @channel AND status = 'waiting' AND next_at IS NOT NULL AND asked_at >= @since AND closed = 0`,
      )
      .run({ channel, since, now });
  }

  /** Repeats the calls that the process before this one was making. Those of removed channels are cancelled anyway. */
  requeueInterrupted(now: number): void {
    const requeue = this.#db.prepare<[number, string]>(
      `UPDATE resync_messages SET status = 'queued', next_at = ?, closes_at = NULL
       WHERE channel = ? AND status = 'requesting' AND next_at IS NOT NULL AND closed = 0`,
    );
    for (const channel of this.#registry.channels().keys()) requeue.run(now, channel);
  }

  /** A read. */
  pendingCalls(now: number): ChannelCalls[] {
    return [...this.#registry.channels().values()].flatMap((channel) => {
      const due = this.nextCalls(channel.name);
      return due ? [{ ...this.#history.of(channel.name, now), channel, ...due }] : [];
    });
  }

  /** A read. */
  nextCalls(channel: string): CallsDue | null {
    return callsDue((statuses) => statuses.flatMap((status) => this.#nextDueAt.get(channel, status) ?? []));
  }
}
