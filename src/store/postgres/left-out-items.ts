import { LEFT_OUT_STATUSES } from '../../model.js';
import { wasSentSince } from '../rules/bulk-work.js';
import { REPEATED_VOTE } from '../rules/held-items.js';
import { isLacking } from '../rules/release.js';
import { SentItems } from '../rules/sent-items.js';
import type { Queries, Transaction } from './queries.js';
import type { RegistryState } from './registry-cache.js';
import { WITH_WEBHOOK } from './sightings.js';

/** The statuses of deliveries that the settings of their target left out, for use in a statement. */
const LEFT_OUT_LITERALS = LEFT_OUT_STATUSES.map((status) => `'${status}'`).join();

interface HeldPlace {
  readonly webhook_id: number;
  readonly position: number;
  readonly channel: string;
  readonly event: string;
}

interface SentRow {
  readonly webhook_id: number;
  readonly target: number;
  readonly positions: number[] | null;
}

const HOLD = `UPDATE gateway.sightings s SET held = true FROM gateway.history h
  WHERE h.id = ANY($1::bigint[]) AND h.status IN (${LEFT_OUT_LITERALS})
    AND s.webhook_id = h.webhook_id AND (h.positions IS NULL OR s.position = ANY(h.positions)) AND NOT s.held`;

const HELD_OF_WEBHOOKS = `SELECT s.webhook_id, s.position, w.channel, w.event
  FROM gateway.sightings s ${WITH_WEBHOOK} WHERE s.webhook_id = ANY($1::bigint[]) AND s.held`;

const CARRIES = (d: string): string => `($2::int[] IS NULL OR ${d}.positions IS NULL OR ${d}.positions && $2)`;
const SENT_OF_WEBHOOKS = `SELECT q.webhook_id, q.target, q.positions FROM gateway.queue q
  WHERE q.webhook_id = ANY($1::bigint[]) AND ${CARRIES('q')}
  UNION ALL
  SELECT h.webhook_id, h.target, h.positions FROM gateway.history h
  WHERE h.webhook_id = ANY($1::bigint[]) AND h.status NOT IN (${LEFT_OUT_LITERALS}) AND ${CARRIES('h')}`;

const CLEAR_HELD = `UPDATE gateway.sightings s SET held = false FROM unnest($1::bigint[], $2::int[]) AS c(webhook_id, position)
  WHERE s.webhook_id = c.webhook_id AND s.position = c.position`;

/** `isMessageItself` as a condition. */
const IS_MESSAGE = (s: string): string =>
  `${s}.carrier = 'messages' AND ${s}.message_key IS NOT NULL AND ${s}.verdict <> 'event' AND ${s}.rule <> ${REPEATED_VOTE}
   AND NOT ${s}.placeholder`;

/**
 * A newer copy of a message is never judged by rule 10, so the index by message has it. Each OFFSET 0 keeps PostgreSQL from
 * reading all sightings or deliveries at once, because it estimates that few of them match.
 */
const RELEASED_COPIES = `SELECT DISTINCT h.id, o.position
  FROM (SELECT id, target, webhook_id, positions FROM gateway.history WHERE id = ANY($1::bigint[]) OFFSET 0) h
    CROSS JOIN LATERAL (SELECT o.position, o.message_key FROM gateway.sightings o
      WHERE o.webhook_id = h.webhook_id AND (h.positions IS NULL OR o.position = ANY(h.positions)) AND ${IS_MESSAGE('o')} OFFSET 0) o
    CROSS JOIN LATERAL (SELECT s.webhook_id, s.position FROM gateway.sightings s
      WHERE s.message_key = o.message_key AND s.rule <> 10 AND ${IS_MESSAGE('s')} OFFSET 0) c
    CROSS JOIN LATERAL (SELECT FROM gateway.deliveries d WHERE d.webhook_id = c.webhook_id AND d.released AND d.id > h.id
      AND d.target = h.target AND d.positions = ARRAY[c.position] OFFSET 0) d`;

/** Marks the items of those of these settled deliveries that were left out as held: they can be released. */
export async function holdItemsOf(tx: Transaction, deliveryIds: readonly number[]): Promise<void> {
  await tx.run(HOLD, deliveryIds);
}

/**
 * Which targets have a delivery of which items, by webhook.
 * @param positions only deliveries of these items are read: a webhook may have thousands. Null: all
 */
async function sentItemsOf(
  queries: Queries,
  webhookIds: readonly number[],
  positions: readonly number[] | null = null,
): Promise<ReadonlyMap<number, SentItems>> {
  const sent = new Map(webhookIds.map((id) => [id, new SentItems()]));
  if (sent.size === 0) return sent;
  for (const row of await queries.all<SentRow>(SENT_OF_WEBHOOKS, [...sent.keys()], positions)) {
    sent.get(row.webhook_id)?.add(row.target, row.positions);
  }
  return sent;
}

/** The same for single items. */
export async function sentItemsAt(
  queries: Queries,
  places: readonly Pick<HeldPlace, 'webhook_id' | 'position'>[],
): Promise<ReadonlyMap<number, SentItems>> {
  const positions = new Set(places.map(({ position }) => position));
  return await sentItemsOf(
    queries,
    places.map(({ webhook_id: id }) => id),
    [...positions],
  );
}

/** These items are no longer held. */
export async function clearHeld(
  tx: Transaction,
  places: readonly Pick<HeldPlace, 'webhook_id' | 'position'>[],
): Promise<void> {
  if (places.length === 0) return;
  await tx.run(
    CLEAR_HELD,
    places.map(({ webhook_id: id }) => id),
    places.map(({ position }) => position),
  );
}

/**
 * Deliveries of these webhooks that had been left out are pending again: an item is held only if a subscriber still lacks it.
 * For use after they were made pending.
 */
export async function releaseSentItemsOf(
  tx: Transaction,
  registry: RegistryState,
  requeued: readonly SentRow[],
): Promise<void> {
  const webhookIds = [...new Set(requeued.map(({ webhook_id: id }) => id))];
  const [held, sent] = await Promise.all([
    tx.all<HeldPlace>(HELD_OF_WEBHOOKS, webhookIds),
    sentItemsOf(tx, webhookIds),
  ]);
  const again = new Map(webhookIds.map((id) => [id, new SentItems()]));
  for (const { webhook_id: id, positions } of requeued) again.get(id)?.add(0, positions);
  const cleared = held.filter((place) => {
    const isSentAgain = again.get(place.webhook_id)?.has(0, place.position) === true;
    return isSentAgain && !isLacking(registry.targets.values(), place, sent.get(place.webhook_id));
  });
  await clearHeld(tx, cleared);
}

/** A delivery that was left out. */
export interface LeftOutRow extends SentRow {
  readonly id: number;
  /** Comma list, one per item. */
  readonly verdicts: string;
}

/**
 * Those of them whose items have all been released to their target since: the items themselves, or newer copies of their
 * messages, because a release sends the newest one. Bulk work skips them, because the bot has them.
 */
export async function releasedSince(queries: Queries, rows: readonly LeftOutRow[]): Promise<ReadonlySet<number>> {
  if (rows.length === 0) return new Set();
  const [sent, copies] = await Promise.all([
    sentItemsOf(
      queries,
      rows.map(({ webhook_id: id }) => id),
    ),
    queries.all<{ id: number; position: number }>(
      RELEASED_COPIES,
      rows.map(({ id }) => id),
    ),
  ]);
  const asCopies = new Set(copies.map(({ id, position }) => `${id} ${position}`));
  const released = rows.filter((row) =>
    wasSentSince(
      row,
      (position) =>
        sent.get(row.webhook_id)?.has(row.target, position) === true || asCopies.has(`${row.id} ${position}`),
    ),
  );
  return new Set(released.map(({ id }) => id));
}
