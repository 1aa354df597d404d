import { noSuchResync } from '../rules/registrations.js';
import type { ChannelWork } from './channel-work.js';
import type { Transaction } from './queries.js';
import type { Base } from './base.js';
import { IN_PROGRESS } from './open-registrations.js';
import { dropIncomplete } from './registrations.js';
import { forgetShown } from './shown-messages.js';

const WINDOWS_PER_COMMIT = 500;

const ENDED = `SELECT DISTINCT channel FROM (
  SELECT channel FROM gateway.resync_messages WHERE NOT closed AND closes_at <= $1 LIMIT ${WINDOWS_PER_COMMIT}) AS ended`;

const ABANDONED = 'SELECT id, channel FROM gateway.resyncs WHERE NOT complete AND owned_until <= $1 LIMIT 10';

// By key: a join by `(resync, position)` with 500 rows would read the whole table.
const CLOSE = `UPDATE gateway.resync_messages SET closed = true, next_at = NULL,
    settled_at = CASE WHEN status IN ('queued', 'requesting', 'waiting') THEN $1 ELSE settled_at END,
    status = CASE WHEN status IN ('queued', 'requesting', 'waiting') THEN 'not_restored' ELSE status END
  WHERE key = ANY(ARRAY(SELECT key FROM gateway.resync_messages
      WHERE NOT closed AND closes_at <= $1 AND channel = ANY($2::text[]) LIMIT ${WINDOWS_PER_COMMIT}))
    AND NOT closed AND closes_at <= $1
  RETURNING key, status, refused`;

// If the message comes months later, it is a duplicate and not new, its first post included.
const REMEMBER = `INSERT INTO gateway.ledger AS l (key, last_seen_at, unposted)
  SELECT DISTINCT key, $2::bigint, false FROM unnest($1::uuid[]) AS key ORDER BY key
  ON CONFLICT (key) DO UPDATE SET unposted = false, seeded_at = CASE WHEN l.first_seen_at IS NULL THEN NULL ELSE l.seeded_at END
  WHERE l.unposted OR l.first_seen_at IS NULL`;

/**
 * Ends all calls and polls. An id that Whapi was never asked for closes at once; one that it was asked for keeps its
 * window, because its webhook may be on the way. A resync that is over stays finished.
 */
const CANCEL = `UPDATE gateway.resync_messages SET status = 'cancelled', next_at = NULL, settled_at = $1, closed = closed OR asked_at IS NULL,
  closes_at = coalesce(closes_at, asked_at + 1000 * (SELECT r.window_seconds FROM gateway.resyncs r WHERE r.number = resync))`;

const MARK_CANCELLED = `UPDATE gateway.resyncs SET cancelled_at = $1 WHERE number = ANY($2::int[]) AND cancelled_at IS NULL`;

interface ClosedRow {
  readonly key: string;
  readonly status: string;
  readonly refused: boolean;
}

/** The end of registrations: windows that run out, and cancelled resyncs. */
export class ResyncWindows {
  readonly #base: Base;
  readonly #channels: ChannelWork;

  constructor(base: Base, channels: ChannelWork) {
    this.#base = base;
    this.#channels = channels;
  }

  /**
   * Closes some windows that have run out. Ids that Whapi was asked for go into the ledger, under the locks of their channels.
   * After a refused call nothing comes back, so the next webhook with that id is genuine, unless the message was restored
   * anyway. Returns the number of closed windows. Usually none has run out, and it only reads.
   */
  async close(): Promise<number> {
    const { db, now } = this.#base;
    const [ended] = await Promise.all([db.all<{ channel: string }>(ENDED, now()), this.#dropAbandoned()]);
    if (ended.length === 0) return 0;
    const channels = ended.map(({ channel }) => channel);
    return await db.transaction(async (tx) => {
      const at = now();
      const [, rows] = await Promise.all([tx.lockChannels(channels), tx.all<ClosedRow>(CLOSE, at, channels)]);
      const asked = rows.filter(({ refused, status }) => !refused || status === 'restored');
      await Promise.all([
        tx.run(
          REMEMBER,
          asked.map(({ key }) => key),
          at,
        ),
        forgetShown(
          tx,
          rows.map(({ key }) => key),
        ),
      ]);
      return rows.length;
    });
  }

  /** Drops resyncs whose replica stopped while it registered them: their ids would be held as registered ones. */
  async #dropAbandoned(): Promise<void> {
    const { db, now } = this.#base;
    for (const { id, channel } of await db.all<{ id: string; channel: string }>(ABANDONED, now())) {
      await this.#channels.run(channel, async (tx) => {
        await Promise.all([tx.lockChannels([channel]), dropIncomplete(tx, id, now())]);
      });
    }
  }

  /** @throws GatewayError GW_NOT_FOUND */
  async cancel(id: string): Promise<void> {
    const { db, now } = this.#base;
    const row = await db.one<{ number: number; channel: string }>(
      'SELECT number, channel FROM gateway.resyncs WHERE id = $1',
      id,
    );
    if (!row) throw noSuchResync(id);
    await this.#channels.run(row.channel, async (tx) => {
      const at = now();
      const [, cancelled] = await Promise.all([
        tx.lockChannels([row.channel]),
        tx.run(`${CANCEL} WHERE resync = $2 AND status IN ('queued', 'requesting', 'waiting')`, at, row.number),
      ]);
      if (cancelled > 0) await tx.run(MARK_CANCELLED, at, [row.number]);
    });
  }
}

/**
 * Cancels about `limit` ids of a removed channel that are in progress, and the resyncs that they belong to. Returns whether
 * more may be left. For use in a transaction that has the lock of the channel, or of the registry.
 */
export async function cancelSomeOf(tx: Transaction, channel: string, limit: number, now: number): Promise<boolean> {
  const rows = await tx.all<{ resync: number }>(
    `${CANCEL} WHERE key = ANY(ARRAY(SELECT key FROM gateway.resync_messages
       WHERE channel = $2 AND ${IN_PROGRESS} LIMIT $3)) AND ${IN_PROGRESS} RETURNING resync`,
    ...[now, channel, limit],
  );
  await tx.run(MARK_CANCELLED, now, [...new Set(rows.map(({ resync }) => resync))]);
  return rows.length >= limit; // more, if several resyncs have the same ids
}
