import type { Verdict } from '../../model.js';
import { sentByRelease } from '../rules/held-items.js';
import type { HeldFacts } from '../rules/held-items.js';
import { isLacking } from '../rules/release.js';
import type { Base } from './base.js';
import { sentItemsAt } from './left-out-items.js';
import { SIGHTING_TABLES, WITH_WEBHOOK } from './sightings.js';

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
export const HELD_OF_MESSAGE = `SELECT ${HELD_COLUMNS} FROM ${SIGHTING_TABLES}
  WHERE s.message_key = $1 AND s.held AND s.carrier = 'messages' ORDER BY s.webhook_id, s.position`;
const HELD_OF_RESYNC = `SELECT m.position AS at, ${HELD_COLUMNS} FROM gateway.resync_messages m
    JOIN gateway.sightings s ON s.message_key = m.key AND s.held AND s.carrier = 'messages'
    ${WITH_WEBHOOK}
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
    const all = sent.flatMap(([, rows]) => rows);
    if (all.length === 0) return new Map();
    const [{ targets }, deliveries] = await Promise.all([
      this.#base.registry.current(),
      sentItemsAt(this.#base.db, all),
    ]);
    const owed = (row: HeldRow): boolean => isLacking(targets.values(), row, deliveries.get(row.webhook_id));
    return new Map(sent.map(([at, rows]) => [at, rows.filter(owed).length]));
  }
}
