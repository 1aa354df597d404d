import { subscribes } from '../../intake/route.js';
import type { Verdict } from '../../model.js';
import { messageKey } from '../rules/keys.js';
import type { ItemPlace } from '../rules/ids.js';
import type { Db } from './database.js';
import { allOf, releaseConditions } from './filters.js';
import { eventNamed } from './outbox.js';
import { Receivers } from './receivers.js';
import type { NumberedTarget, SqliteRegistry } from './registry.js';
import type { ReleaseFilter } from '../items.js';

/** An item that was withheld from some target. */
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

/** An item that a release would send. */
export interface Sendable {
  readonly place: ItemPlace;
  readonly verdicts: readonly Verdict[];
  /** Ids. */
  readonly targets: readonly string[];
}

/** Of `sightings s` and its webhook `w`. */
export const HELD_COLUMNS =
  's.webhook_id, s.position, s.message_key, s.carrier, s.verdict, s.rule, s.held, s.placeholder, w.channel, w.event';

/** A repeated vote reuses the id of its poll. */
const REPEATED_VOTE = 1;

const OF_MESSAGE = `FROM sightings s INDEXED BY sightings_held_messages JOIN webhooks w ON w.id = s.webhook_id
  WHERE s.message_key = ? AND s.held = 1 AND s.carrier = 'messages'`;

/**
 * What is held, and what a release of it sends: the one definition for reports, counts and releases. A message that is
 * held several times is sent once, by its newest sighting; a revision, and whatever is no message, goes by itself.
 */
export class SqliteHeld {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #ofMessage;
  readonly #ofResync;
  readonly #receivers: Receivers;

  constructor(db: Db, registry: SqliteRegistry) {
    this.#db = db;
    this.#registry = registry;
    this.#ofMessage = db.prepare<[Buffer], HeldRow>(
      `SELECT ${HELD_COLUMNS} ${OF_MESSAGE} ORDER BY s.webhook_id, s.position`,
    );
    this.#ofResync = db.prepare<[number, number, number], HeldRow & { at: number }>(
      `SELECT m.position AS at, ${HELD_COLUMNS} FROM resync_messages m
         CROSS JOIN sightings s INDEXED BY sightings_held_messages ON s.message_key = m.key
         CROSS JOIN webhooks w ON w.id = s.webhook_id
       WHERE m.resync = ? AND m.position >= ? AND m.position <= ? AND s.held = 1 AND s.carrier = 'messages'
       ORDER BY m.position, s.webhook_id, s.position`,
    );
    this.#receivers = new Receivers(db);
  }

  /** Every held sighting of a message, its revisions and votes included, oldest first. */
  ofMessage(key: Buffer): readonly HeldRow[] {
    return this.#ofMessage.all(key);
  }

  /** The held sightings that go with this one, oldest first, itself included. */
  repetitionsOf(row: HeldRow): readonly HeldRow[] {
    const { message_key: key } = row;
    return key !== null && isMessageItself(row) ? this.ofMessage(key).filter(isMessageItself) : [row];
  }

  /** The targets that subscribe to an item. */
  subscribers({ channel, event }: HeldRow): NumberedTarget[] {
    const name = eventNamed(event);
    return [...this.#registry.targets().values()].filter(({ target }) => subscribes(target, channel, name));
  }

  /** Those of these targets that were not sent an item. */
  owed(targets: readonly NumberedTarget[], { webhook_id, position }: HeldRow): NumberedTarget[] {
    const sent = this.#receivers.of(webhook_id);
    return targets.filter(({ number }) => !sent.has(number, position));
  }

  /** Targets that were removed are left out. */
  living(targetIds: readonly string[] | undefined): NumberedTarget[] | null {
    return targetIds ? [...new Set(targetIds)].flatMap((id) => this.#registry.targets().get(id) ?? []) : null;
  }

  /** What a release by this filter sends of a row that the filter names; null: nothing, or with an earlier row. */
  sendable(row: HeldRow, filter: ReleaseFilter): Sendable | null {
    const repetitions = this.repetitionsOf(row);
    const isFirst = repetitions[0] === undefined || isSame(repetitions[0], row);
    if (!isFirst && this.#goesWithEarlier(row, filter)) return null;
    const targets = this.#unsent(repetitions.at(-1) ?? row, filter.targets);
    if (targets.length === 0) return null;
    return {
      place: { webhookId: row.webhook_id, position: row.position },
      verdicts: [row.verdict],
      targets: targets.map(({ target }) => target.id),
    };
  }

  /** How many items a release of one message, or of a resync that asked for it, sends. */
  countOf(key: Buffer): number {
    return this.#count(this.ofMessage(key));
  }

  /** The same for the messages of a resync at these positions, both included. Messages without anything to send are left out. */
  countsOf(resync: number, from: number, to: number): ReadonlyMap<number, number> {
    const byPosition = new Map<number, HeldRow[]>();
    for (const row of this.#ofResync.all(resync, from, to)) {
      byPosition.set(row.at, [...(byPosition.get(row.at) ?? []), row]);
    }
    return new Map([...byPosition].map(([at, held]) => [at, this.#count(held)]));
  }

  /** As `sendable` says of each of them, where the filter names messages and no verdict. */
  #count(held: readonly HeldRow[]): number {
    const named = held.filter(({ verdict }) => verdict !== 'duplicate');
    const newest = held.findLast(isMessageItself);
    const sent = named.filter((row) => !isMessageItself(row));
    if (newest && named.some(isMessageItself)) sent.push(newest);
    return sent.filter((row) => this.#unsent(row, undefined).length > 0).length;
  }

  #unsent(row: HeldRow, targetIds: readonly string[] | undefined): NumberedTarget[] {
    return this.owed(this.living(targetIds) ?? this.subscribers(row), row);
  }

  /** The keys of the message id that a filter names: ids are matched by (channel, id). Null where it names none. */
  keysOf({ channel, messageId }: { channel?: string | undefined; messageId?: string | undefined }): Buffer[] | null {
    if (messageId === undefined) return null;
    const channels = channel === undefined ? [...this.#registry.channels().keys()] : [channel];
    return channels.map((name) => messageKey(name, messageId));
  }

  #goesWithEarlier(row: HeldRow, filter: ReleaseFilter): boolean {
    const { where, values } = allOf(releaseConditions(filter, null));
    const earlier = this.#db.prepare<unknown[], HeldRow>(
      `SELECT ${HELD_COLUMNS} ${OF_MESSAGE} AND (s.webhook_id, s.position) < (?, ?) AND ${where || 'TRUE'}`,
    );
    return earlier.all(row.message_key, row.webhook_id, row.position, ...values).some(isMessageItself);
  }
}

/** Not a revision, a vote or a placeholder, which have an id in common with a message and are released by themselves. */
function isMessageItself({ carrier, message_key: key, verdict, rule, placeholder }: HeldRow): boolean {
  return carrier === 'messages' && key !== null && verdict !== 'event' && rule !== REPEATED_VOTE && placeholder === 0;
}

function isSame(one: HeldRow, other: HeldRow): boolean {
  return one.webhook_id === other.webhook_id && one.position === other.position;
}
