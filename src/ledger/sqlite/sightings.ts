import type { Verdict } from '../../model.js';
import type { Db } from './database.js';

/** A sighting of a message by itself, in an array `messages`. */
export interface MessageSighting {
  readonly webhook_id: number;
  readonly position: number;
  readonly verdict: Verdict;
  readonly held: number;
}

/** What was seen of a message, and which targets were sent it. For use inside a transaction. */
export class SqliteSightings {
  readonly #of;
  readonly #wasSent;

  constructor(db: Db) {
    this.#of = db.prepare<{ key: Buffer }, MessageSighting>(SIGHTINGS_OF_MESSAGE);
    this.#wasSent = db
      .prepare<[number, number, number]>(
        `SELECT 1 FROM deliveries WHERE webhook_id = ? AND target = ?
           AND (positions IS NULL OR EXISTS (SELECT 1 FROM json_each(positions) WHERE value = ?))`,
      )
      .pluck();
  }

  /** Oldest first. */
  of(key: Buffer): MessageSighting[] {
    return this.#of.all({ key });
  }

  /** Some delivery to the target carries one of these sightings. */
  wereSent(sightings: readonly MessageSighting[], target: number): boolean {
    return sightings.some(({ webhook_id, position }) => this.#wasSent.get(webhook_id, target, position) !== undefined);
  }
}

/** An `event` under a message's id (a revision, a vote, a position) is a thing of its own; all else repeats the message. */
export function repeatsMessage({ verdict }: Pick<MessageSighting, 'verdict'>): boolean {
  return verdict !== 'event';
}

/**
 * The sightings of a message by itself: those that the index has, and the first one, to which the ledger points (see
 * `sightings_by_message`).
 */
const SIGHTINGS_OF_MESSAGE = `
  SELECT webhook_id, position, verdict, held FROM sightings
    WHERE message_key = @key AND rule <> 10 AND carrier = 'messages'
  UNION
  SELECT s.webhook_id, s.position, s.verdict, s.held FROM ledger l
    JOIN sightings s ON s.webhook_id = l.webhook_id AND s.position = l.position
    WHERE l.key = @key
  ORDER BY webhook_id, position`;
