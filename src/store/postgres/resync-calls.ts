import type { ResyncMessageStatus } from '../../model.js';
import { messageKey } from '../rules/keys.js';
import { callsDue, STATUSES_WITH_CALL } from '../rules/registrations.js';
import type { OpenRegistration } from '../rules/registrations.js';
import type { CallsDue, ChannelCalls } from '../calls.js';
import type { CallResult, ResyncCall, ResyncRequest } from '../resyncs.js';
import { countCall, historiesOf } from './call-history.js';
import { saveCallResult } from './call-results.js';
import type { ChannelWork } from './channel-work.js';
import type { Transaction } from './queries.js';
import type { Base } from './base.js';
import { plainUuid, uuidOf } from './keys.js';
import { LONGEST_WINDOWS, windowsIn, windowsOf } from './open-registrations.js';
import type { WindowRow } from './open-registrations.js';

interface CallRow {
  readonly status: ResyncMessageStatus;
  readonly resync_id: string;
  readonly position: number;
  readonly message_id: string;
  readonly key: string;
  readonly created_at: number;
  readonly calls: number;
  readonly polls: number;
}

/** A call with `resync=true` that this replica has taken and not settled. */
interface TakenCall {
  readonly channel: string;
  readonly key: string;
  readonly askedAt: number;
}

// The first call that is due, by the order of the statuses $2.
const DUE_CALL = `SELECT s.status, d.resync_id, d.position, d.message_id, d.key, d.created_at, d.calls, d.polls
  FROM unnest($2::text[]) WITH ORDINALITY AS s(status, place) CROSS JOIN LATERAL (
    SELECT r.id AS resync_id, m.position, m.message_id, m.key, r.created_at, m.calls, m.polls
    FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
    WHERE m.channel = $1 AND m.status = s.status AND m.next_at <= $3 AND r.complete
    ORDER BY m.next_at, m.resync, m.position LIMIT 1) d
  ORDER BY s.place LIMIT 1`;

const NEXT_DUE = `SELECT c.channel, s.status, d.next_at
  FROM unnest($1::text[]) AS c(channel) CROSS JOIN unnest($2::text[]) AS s(status) CROSS JOIN LATERAL (
    SELECT m.next_at FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
    WHERE m.channel = c.channel AND m.status = s.status AND m.next_at IS NOT NULL AND r.complete ORDER BY m.next_at LIMIT 1) d`;

// Of others than $1; NULL: none.
const TAKEN_TURNS = 'SELECT channel FROM gateway.channel_turns WHERE holder <> $1 AND until > $2';

// I2: from this commit on Whapi may have been asked, so the window has an end and the id is remembered past it.
const MARK_REQUESTING = `UPDATE gateway.resync_messages m SET status = 'requesting', asked_at = $2::bigint, calls = m.calls + 1,
    refused = false, closes_at = $2::bigint + 1000 * w.seconds, next_at = $3::bigint
  FROM (${LONGEST_WINDOWS}) AS w
  WHERE m.key = w.key AND NOT m.closed AND m.status IN ('queued', 'requesting', 'waiting') RETURNING m.key, w.seconds`;

const COUNT_CALL_OF_RESTORED = `UPDATE gateway.resync_messages m SET asked_at = $1, calls = m.calls + 1,
    closes_at = greatest(m.closes_at, w.closes_at)
  FROM unnest($2::int[], $3::int[], $4::bigint[]) AS w(resync, position, closes_at)
  WHERE m.resync = w.resync AND m.position = w.position`;

const SAVE_LAST_ASKED_AT = `UPDATE gateway.resyncs SET last_asked_at = $2
  WHERE number IN (SELECT resync FROM gateway.resync_messages WHERE key = ANY($1::uuid[]) AND NOT closed AND asked_at = $2)`;

const COUNT_POLL = `UPDATE gateway.resync_messages SET polls = polls + 1, next_at = $2
  WHERE key = $1 AND NOT closed AND status = 'waiting'`;

/**
 * The calls to Whapi for registered ids, from the time they are due to their result (I2). Each statement changes an id in
 * every resync that is bringing it back: see open-registrations.ts.
 */
export class ResyncCalls {
  readonly #base: Base;
  readonly #channels: ChannelWork;
  readonly #taken = new Map<string, TakenCall>();

  constructor(base: Base, channels: ChannelWork) {
    this.#base = base;
    this.#channels = channels;
  }

  /**
   * Takes the calls for ids that were registered in this transaction; the caller makes them as one call.
   * @param rows the registration of each id of the request
   */
  async takeRegistered(
    tx: Transaction,
    rows: readonly OpenRegistration[],
    { channel: name, messageIds, windowSeconds }: ResyncRequest,
    now: number,
    leaseMs: number,
  ): Promise<readonly Omit<ResyncCall, 'channel'>[]> {
    const calls = rows.map((row, at) => {
      const messageId = messageIds[at] ?? '';
      const seconds = Math.max(row.windowSeconds, windowSeconds);
      return {
        row,
        messageId,
        key: uuidOf(messageKey(name, messageId)),
        closesAt: Math.round(now + seconds * 1000),
        seconds,
      };
    });
    const restored = calls.filter(({ row }) => row.status === 'restored');
    const asked = calls.filter((call) => !restored.includes(call)).map(({ key }) => key);
    const [windows] = await Promise.all([
      markRequesting(tx, asked, now, leaseMs),
      restored.length > 0 &&
        tx.run(
          COUNT_CALL_OF_RESTORED,
          ...[now, restored.map(({ row }) => row.resync), restored.map(({ row }) => row.position)],
          restored.map(({ closesAt }) => closesAt),
        ),
      tx.run(
        SAVE_LAST_ASKED_AT,
        calls.map(({ key }) => key),
        now,
      ),
    ]);
    return calls.map(({ row: { resyncId, position, registeredAt, calls: made }, messageId, key, seconds }) => {
      return {
        kind: 'resync',
        resyncId,
        position,
        registeredAt,
        made,
        messageId,
        windowSeconds: windows.get(key) ?? seconds,
      };
    });
  }

  /** See `Resyncs.takeCall`. The lock of the channel keeps other replicas from taking the same call. */
  async take(channelName: string, prefer: ResyncCall['kind'], leaseMs: number): Promise<ResyncCall | null> {
    const { resync, poll } = STATUSES_WITH_CALL;
    const statuses = prefer === 'resync' ? [...resync, ...poll] : [...poll, ...resync];
    const taken = await this.#channels.run(channelName, async (tx) => {
      const now = this.#base.now();
      const [state, row] = await Promise.all([
        this.#channels.begin(tx, channelName),
        tx.one<CallRow>(DUE_CALL, channelName, statuses, now),
      ]);
      const channel = state.channels.get(channelName);
      if (!channel || !row) return null;
      const key = plainUuid(row.key);
      const kind: ResyncCall['kind'] = row.status === 'waiting' ? 'poll' : 'resync';
      const [windows] = await Promise.all([
        kind === 'resync' ? markRequesting(tx, [key], now, leaseMs) : startPoll(tx, key, now + leaseMs),
        kind === 'resync' && tx.run(SAVE_LAST_ASKED_AT, [key], now),
        countCall(tx, channelName, now),
      ]);
      const call: ResyncCall = {
        ...{ kind, resyncId: row.resync_id, position: row.position, channel, messageId: row.message_id },
        ...{ windowSeconds: windows.get(key) ?? 0, registeredAt: row.created_at },
        made: kind === 'resync' ? row.calls : row.polls,
      };
      return { call, askedAt: now };
    });
    if (taken?.call.kind === 'resync') this.remember(taken.call, taken.askedAt);
    return taken?.call ?? null;
  }

  /** Remembers a call that was taken, once that is committed: see `giveBack`. */
  remember({ channel: { name: channel }, messageId }: ResyncCall, askedAt: number): void {
    const key = uuidOf(messageKey(channel, messageId));
    this.#taken.set(key, { channel, key, askedAt });
  }

  /** See `Resyncs.settleCall`. */
  async settle(call: ResyncCall, result: CallResult): Promise<void> {
    const {
      channel: { name: channel },
    } = call;
    await this.#channels.run(channel, async (tx) => await saveCallResult(tx, call, result, this.#base.now));
    this.#taken.delete(uuidOf(messageKey(channel, call.messageId)));
  }

  /**
   * For a shutdown: makes the calls that this replica has taken due at once, for the others or for its next start. After a
   * crash they are due once their leases end.
   */
  async giveBack(): Promise<void> {
    const taken = [...this.#taken.values()];
    if (taken.length === 0) return;
    await this.#base.db.transaction(async (tx) => {
      await tx.lockChannels(taken.map(({ channel }) => channel));
      await tx.run(
        `UPDATE gateway.resync_messages m SET status = 'queued', next_at = $3, closes_at = NULL
         FROM unnest($1::uuid[], $2::bigint[]) AS t(key, asked_at)
         WHERE m.key = t.key AND m.asked_at = t.asked_at AND m.status = 'requesting' AND NOT m.closed`,
        taken.map(({ key }) => key),
        taken.map(({ askedAt }) => askedAt),
        this.#base.now(),
      );
    });
    this.#taken.clear();
  }

  /** @param holder leaves out channels whose turn another holder has; null: leaves out none */
  async pendingCalls(holder: string | null): Promise<ChannelCalls[]> {
    const { db, registry, now } = this.#base;
    const [state, taken] = await Promise.all([
      registry.current(),
      db.all<{ channel: string }>(TAKEN_TURNS, holder, now()),
    ]);
    const isTaken = new Set(taken.map(({ channel }) => channel));
    const channels = [...state.channels.values()].filter(({ name }) => !isTaken.has(name));
    const due = await this.#dueOf(channels.map(({ name }) => name));
    const historyOf = await historiesOf(db, [...due.keys()], now());
    return channels.flatMap((channel) => {
      const calls = due.get(channel.name);
      return calls ? [{ ...historyOf(channel.name), channel, ...calls }] : [];
    });
  }

  async nextCalls(channel: string): Promise<CallsDue | null> {
    return (await this.#dueOf([channel])).get(channel) ?? null;
  }

  /** When the next calls of channels are due; those without calls are left out. */
  async #dueOf(channels: readonly string[]): Promise<ReadonlyMap<string, CallsDue>> {
    const statuses = [...STATUSES_WITH_CALL.resync, ...STATUSES_WITH_CALL.poll];
    const rows = await this.#base.db.all<{ channel: string; status: string; next_at: number }>(
      NEXT_DUE,
      channels,
      statuses,
    );
    const times = new Map<string, Map<string, number>>();
    for (const { channel, status, next_at: at } of rows) {
      times.set(channel, (times.get(channel) ?? new Map<string, number>()).set(status, at));
    }
    const due = new Map<string, CallsDue>();
    for (const [channel, byStatus] of times) {
      const calls = callsDue((wanted) => wanted.flatMap((status) => byStatus.get(status) ?? []));
      if (calls) due.set(channel, calls);
    }
    return due;
  }
}

/** Commits calls as made and returns the lengths of the windows by key, in seconds. */
async function markRequesting(
  tx: Transaction,
  keys: readonly string[],
  now: number,
  leaseMs: number,
): Promise<ReadonlyMap<string, number>> {
  if (keys.length === 0) return new Map();
  return windowsIn(await tx.all<WindowRow>(MARK_REQUESTING, keys, now, now + leaseMs));
}

async function startPoll(tx: Transaction, key: string, nextAt: number): Promise<ReadonlyMap<string, number>> {
  const [windows] = await Promise.all([windowsOf(tx, key), tx.run(COUNT_POLL, key, nextAt)]);
  return windows;
}
