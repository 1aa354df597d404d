import type { Verdict } from '../../model.js';
import { messageKeysOf } from '../rules/item-filters.js';
import type { MessageOfFilter } from '../rules/item-filters.js';
import { foundRelease } from '../rules/bulk-work.js';
import type { FoundWork } from '../rules/bulk-work.js';
import { isMessageItself, REPEATED_VOTE, repetitionsOf, sentByRelease } from '../rules/held-items.js';
import { owedOf, subscribersOf, withoutDelivery } from '../rules/release.js';
import type { Owed } from '../rules/release.js';
import type { Db } from './database.js';
import { allOf, releaseConditions } from './filters.js';
import { Receivers } from './receivers.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import type { RegistryTables } from './registry-tables.js';
import { TransactionMemory } from './transaction-memory.js';
import type { ReleaseFilter } from '../items.js';

/** An item that was withheld from a target because of its verdict, or of the target's settings. */
export interface HeldRow {
  readonly webhook_id: number;
  readonly position: number;
  readonly message_key: Buffer | null;
  readonly carrier: string;
  readonly verdict: Verdict;
  readonly rule: number;
  readonly held: number;
  readonly placeholder: number;
  readonly channel: string;
  readonly event: string;
}

/** The columns of a `HeldRow`, from `sightings s` and its webhook `w`. */
export const HELD_COLUMNS =
  's.webhook_id, s.position, s.message_key, s.carrier, s.verdict, s.rule, s.held, s.placeholder, w.channel, w.event';

/** What `isMessageItself` says, as a condition for rows of `sightings`. */
export const messageItself = (alias: string): string =>
  `${alias}.carrier = 'messages' AND ${alias}.message_key IS NOT NULL AND ${alias}.verdict <> 'event'
   AND ${alias}.rule <> ${REPEATED_VOTE} AND ${alias}.placeholder = 0`;

const HELD_OF_MESSAGE = `FROM sightings s INDEXED BY sightings_held_messages JOIN webhooks w ON w.id = s.webhook_id
  WHERE s.message_key = ? AND s.held = 1 AND s.carrier = 'messages'`;

/**
 * Which items are held, and what a release of them sends: the one definition for reports, counts and releases. A message
 * that is held several times is sent once, by its newest sighting. Every other item, a revision too, is sent by itself.
 */
export class HeldItems {
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #heldOfMessage;
  readonly #heldOfResync;
  readonly #receivers: Receivers;
  readonly #memory: TransactionMemory;

  constructor(db: Db, registry: RegistryTables, memory = new TransactionMemory()) {
    this.#memory = memory;
    this.#db = db;
    this.#registry = registry;
    this.#heldOfMessage = db.prepare<[Buffer], HeldRow>(
      `SELECT ${HELD_COLUMNS} ${HELD_OF_MESSAGE} ORDER BY s.webhook_id, s.position`,
    );
    this.#heldOfResync = db.prepare<[number, number, number], HeldRow & { at: number }>(
      `SELECT m.position AS at, ${HELD_COLUMNS} FROM resync_messages m
         CROSS JOIN sightings s INDEXED BY sightings_held_messages ON s.message_key = m.key
         CROSS JOIN webhooks w ON w.id = s.webhook_id
       WHERE m.resync = ? AND m.position >= ? AND m.position <= ? AND s.held = 1 AND s.carrier = 'messages'
       ORDER BY m.position, s.webhook_id, s.position`,
    );
    this.#receivers = new Receivers(db);
  }

  /** A delivery was left out, or is no longer: what is known of receivers is read again, also after a rollback. */
  changed(): void {
    this.#receivers.forget();
    this.#memory.changed(() => this.#receivers.forget());
  }

  /** Every held sighting of a message, its revisions and votes included, oldest first. */
  heldOfMessage(key: Buffer): readonly HeldRow[] {
    return this.#heldOfMessage.all(key);
  }

  /** The held sightings that are released together with this one, oldest first, itself included. */
  repetitionsOf(row: HeldRow): readonly HeldRow[] {
    return repetitionsOf(row, () => (row.message_key === null ? [] : this.heldOfMessage(row.message_key)));
  }

  /** The targets that subscribe to an item. */
  subscribers(row: HeldRow): NumberedTarget[] {
    return subscribersOf(this.#registry.targets().values(), row);
  }

  /** The targets, of those given, that have no delivery of an item. */
  withoutDelivery(targets: readonly NumberedTarget[], row: HeldRow): NumberedTarget[] {
    return withoutDelivery(targets, row, this.#receivers.of(row.webhook_id));
  }

  /** Whom a release of an item is owed. @param chosen null: all targets that subscribe @throws GatewayError GW_NOT_HELD */
  owed(row: HeldRow, chosen: readonly NumberedTarget[] | null): Owed {
    return owedOf(row, {
      targets: this.#registry.targets().values(),
      chosen,
      sent: this.#receivers.of(row.webhook_id),
    });
  }

  /** Whether a target, by its number, has a delivery of an item. One that its settings left out counts as none. */
  hasDelivery(target: number, webhookId: number, position: number): boolean {
    return this.#receivers.of(webhookId).has(target, position);
  }

  /** The targets with these ids that were not removed; null: no ids are given. */
  existing(targetIds: readonly string[] | undefined): NumberedTarget[] | null {
    return targetIds ? [...new Set(targetIds)].flatMap((id) => this.#registry.targets().get(id) ?? []) : null;
  }

  /** What a release by this filter sends for a row that matches it; null: an earlier row covers it. */
  releasable(row: HeldRow, filter: ReleaseFilter): FoundWork | null {
    const repetitions = this.repetitionsOf(row);
    const isFirst = repetitions[0] === undefined || isSame(repetitions[0], row);
    if (!isFirst && this.#isCoveredByEarlier(row, filter)) return null;
    const newest = repetitions.at(-1) ?? row;
    const wanted = this.existing(filter.targets) ?? this.subscribers(newest);
    return foundRelease(row, wanted, this.withoutDelivery(wanted, newest));
  }

  /** How many items a release of one message, or of a resync with its id, sends. */
  countForMessage(key: Buffer): number {
    return this.#count(this.heldOfMessage(key));
  }

  /** The same for the messages of a resync at positions `from` to `to` inclusive, by position. Unheld messages are left out. */
  countsForResync(resync: number, from: number, to: number): ReadonlyMap<number, number> {
    const byPosition = new Map<number, HeldRow[]>();
    for (const row of this.#heldOfResync.all(resync, from, to)) {
      byPosition.set(row.at, [...(byPosition.get(row.at) ?? []), row]);
    }
    return new Map([...byPosition].map(([at, held]) => [at, this.#count(held)]));
  }

  /** How many of these rows `releasable` returns, for a filter by message id without a verdict. */
  #count(held: readonly HeldRow[]): number {
    const sent = sentByRelease(held);
    return sent.filter((row) => this.withoutDelivery(this.subscribers(row), row).length > 0).length;
  }

  /** The keys of a filter's message id, which is matched by (channel, id); null: it has none. */
  messageKeys(filter: MessageOfFilter): Buffer[] | null {
    return messageKeysOf(filter, () => this.#registry.channels().keys());
  }

  #isCoveredByEarlier(row: HeldRow, filter: ReleaseFilter): boolean {
    const { where, values } = allOf(releaseConditions(filter, null));
    const earlier = this.#db.prepare<unknown[], HeldRow>(
      `SELECT ${HELD_COLUMNS} ${HELD_OF_MESSAGE} AND (s.webhook_id, s.position) < (?, ?) AND ${where || 'TRUE'}`,
    );
    return earlier.all(row.message_key, row.webhook_id, row.position, ...values).some(isMessageItself);
  }
}

function isSame(one: HeldRow, other: HeldRow): boolean {
  return one.webhook_id === other.webhook_id && one.position === other.position;
}
