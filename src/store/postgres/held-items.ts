import { subscribes } from '../../intake/route.js';
import type { Verdict } from '../../model.js';
import { parseEventName } from '../rules/event-names.js';
import { sentByRelease } from '../rules/held-items.js';
import type { HeldFacts } from '../rules/held-items.js';
import type { SentItems } from '../rules/sent-items.js';
import type { Base } from './base.js';
import { sentItemsOf } from './left-out-items.js';
import type { RegistryState } from './registry-cache.js';

/** An item that was withheld from a target because of its verdict, or of the target's settings. */
export interface HeldRow extends HeldFacts {
  readonly webhook_id: number;
  readonly position: number;
  /** A `uuid` as PostgreSQL returns it. */
  readonly message_key: string | null;
  readonly verdict: Verdict;
  readonly held: boolean;
  readonly channel: string;
  readonly event: string;
}

/** The columns of a `HeldRow`, from `gateway.sightings s` and its webhook `w`. */
export const HELD_COLUMNS =
  's.webhook_id, s.position, s.message_key, s.carrier, s.verdict, s.rule, s.held, s.placeholder, w.channel, w.event';

/** Every held item of a message, its revisions and votes included, oldest first. */
const HELD_OF_MESSAGE = `SELECT ${HELD_COLUMNS} FROM gateway.sightings s JOIN gateway.webhooks w ON w.id = s.webhook_id
  WHERE s.message_key = $1 AND s.held AND s.carrier = 'messages' ORDER BY s.webhook_id, s.position`;
const HELD_OF_RESYNC = `SELECT m.position AS at, ${HELD_COLUMNS} FROM gateway.resync_messages m
    JOIN gateway.sightings s ON s.message_key = m.key AND s.held AND s.carrier = 'messages'
    JOIN gateway.webhooks w ON w.id = s.webhook_id
  WHERE m.resync = $1 AND m.position >= $2 AND m.position <= $3 ORDER BY m.position, s.webhook_id, s.position`;

/** What a release of messages would send: the numbers in reports and lists; reads only. */
export class HeldItems {
  readonly #base: Base;

  constructor(base: Base) {
    this.#base = base;
  }

  /** How many items a release of one message, or of a resync with its id, sends. @param key as `uuidOf` gives it */
  async countForMessage(key: string): Promise<number> {
    const held = await this.#base.db.all<HeldRow>(HELD_OF_MESSAGE, key);
    return (await this.#counts(new Map([[0, held]]))).get(0) ?? 0;
  }

  /** The same for the messages of a resync at positions `from` to `to` inclusive, by position. Unheld messages are left out. */
  async countsForResync(resync: number, from: number, to: number): Promise<ReadonlyMap<number, number>> {
    const byPosition = new Map<number, HeldRow[]>();
    for (const row of await this.#base.db.all<HeldRow & { at: number }>(HELD_OF_RESYNC, resync, from, to)) {
      const found = byPosition.get(row.at);
      if (found) found.push(row);
      else byPosition.set(row.at, [row]);
    }
    return await this.#counts(byPosition);
  }

  /** @param held the held items of each message */
  async #counts(held: ReadonlyMap<number, readonly HeldRow[]>): Promise<ReadonlyMap<number, number>> {
    const sent = [...held].map(([at, rows]) => [at, sentByRelease(rows)] as const);
    const webhooks = new Set(sent.flatMap(([, rows]) => rows.map(({ webhook_id: id }) => id)));
    if (webhooks.size === 0) return new Map();
    const [registry, deliveries] = await Promise.all([
      this.#base.registry.current(),
      sentItemsOf(this.#base.db, [...webhooks]),
    ]);
    return new Map(
      sent.map(([at, rows]) => [
        at,
        rows.filter((row) => isLacking(registry, row, deliveries.get(row.webhook_id))).length,
      ]),
    );
  }
}

/** Whether a target that subscribes to an item has no delivery of it. */
function isLacking({ targets }: RegistryState, { channel, event, position }: HeldRow, sent?: SentItems): boolean {
  const name = parseEventName(event);
  return [...targets.values()].some(
    ({ number, target }) => subscribes(target, channel, name) && sent?.has(number, position) !== true,
  );
}
