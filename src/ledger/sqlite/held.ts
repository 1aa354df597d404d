import { subscribes } from '../../intake/route.js';
import type { Verdict } from '../../model.js';
import { messageKey } from '../keys.js';
import type { ItemPlace } from '../ids.js';
import type { ReleaseFilter } from '../views.js';
import type { Db } from './database.js';
import { allOf, releaseConditions } from './filters.js';
import { eventNamed } from './outbox.js';
import type { NumberedTarget, SqliteRegistry } from './registry.js';

/** An item that was withheld from some target. */
export interface HeldRow {
  readonly webhook_id: number;
  readonly position: number;
  readonly message_key: Buffer | null;
  readonly carrier: string;
  readonly verdict: Verdict;
  readonly rule: number;
  readonly held: number;
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
  's.webhook_id, s.position, s.message_key, s.carrier, s.verdict, s.rule, s.held, w.channel, w.event';

/** Rules for what reuses a message's id and is not the message: repeated votes and repeated placeholders. */
const APART: ReadonlySet<number> = new Set([1, 15]);

const OF_MESSAGE = `FROM sightings s INDEXED BY sightings_held_messages JOIN webhooks w ON w.id = s.webhook_id
  WHERE s.message_key = ? AND s.held = 1 AND s.carrier = 'messages'`;

/** Releasable messages: what a resync's reports and views mean by `held`. */
const MESSAGES: ReleaseFilter = { messagesOnly: true };

/**
 * What is held, and what a release of it sends: the one definition for reports, counts and releases. A message that is
 * held several times is sent once, by its newest sighting; a revision, and whatever is no message, goes by itself.
 */
export class SqliteHeld {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #ofMessage;
  readonly #wasSent;

  constructor(db: Db, registry: SqliteRegistry) {
    this.#db = db;
    this.#registry = registry;
    this.#ofMessage = db.prepare<[Buffer], HeldRow>(
      `SELECT ${HELD_COLUMNS} ${OF_MESSAGE} ORDER BY s.webhook_id, s.position`,
    );
    this.#wasSent = db
      .prepare<[number, number, number]>(
        `SELECT 1 FROM deliveries WHERE webhook_id = ? AND target = ?
           AND (positions IS NULL OR EXISTS (SELECT 1 FROM json_each(positions) WHERE value = ?)) LIMIT 1`,
      )
      .pluck();
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

  wasSent(target: NumberedTarget, { webhook_id, position }: HeldRow): boolean {
    return this.#wasSent.get(webhook_id, target.number, position) !== undefined;
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
    const sent = repetitions.at(-1) ?? row;
    const owed = (this.living(filter.targets) ?? this.subscribers(sent)).filter((each) => !this.wasSent(each, sent));
    if (owed.length === 0) return null;
    return {
      place: { webhookId: row.webhook_id, position: row.position },
      verdicts: [row.verdict],
      targets: owed.map(({ target }) => target.id),
    };
  }

  /** How many items a release of one message sends. */
  countOf(key: Buffer): number {
    const { where, values } = allOf(releaseConditions(MESSAGES, null));
    const rows = this.#db.prepare<unknown[], HeldRow>(
      `SELECT ${HELD_COLUMNS} ${OF_MESSAGE} AND ${where} ORDER BY s.webhook_id, s.position`,
    );
    return rows.all(key, ...values).filter((row) => this.sendable(row, MESSAGES) !== null).length;
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
function isMessageItself({ carrier, message_key: key, verdict, rule }: HeldRow): boolean {
  return carrier === 'messages' && key !== null && verdict !== 'event' && !APART.has(rule);
}

function isSame(one: HeldRow, other: HeldRow): boolean {
  return one.webhook_id === other.webhook_id && one.position === other.position;
}
