import { GatewayError } from '../../errors.js';
import { decode } from '../../intake/decode.js';
import { cut, subscribes } from '../../intake/route.js';
import type { Verdict, WebhookHttpMethod } from '../../model.js';
import { laneKeys, messageKey } from '../keys.js';
import type { Db } from './database.js';
import { eventNamed } from './outbox.js';
import type { SqliteOutbox } from './outbox.js';
import type { NumberedTarget, SqliteRegistry } from './registry.js';

interface MessageSighting {
  webhook_id: number;
  position: number;
  verdict: Verdict;
  held: number;
}

/** A held sighting that bulk work has come to. */
export interface HeldRow {
  readonly webhook_id: number;
  readonly position: number;
  readonly message_key: Buffer;
}

interface WebhookRow {
  channel: string;
  method: WebhookHttpMethod;
  suffix: string;
  event: string;
  body: Buffer;
}

/**
 * Sending a held message after all: the newest sighting of it that is held, to the targets from which it was withheld,
 * to each once. Whether they were sent an earlier sighting is not asked: who releases it wants it sent. For use inside a
 * transaction.
 */
export class SqliteRelease {
  readonly #registry: SqliteRegistry;
  readonly #outbox: SqliteOutbox;
  readonly #sightings;
  readonly #wasSeen;
  readonly #webhook;
  readonly #wasSent;
  readonly #letGo;

  constructor(db: Db, registry: SqliteRegistry, outbox: SqliteOutbox) {
    this.#registry = registry;
    this.#outbox = outbox;
    this.#sightings = db.prepare<{ key: Buffer }, MessageSighting>(SIGHTINGS_OF_MESSAGE);
    this.#wasSeen = db.prepare<[Buffer]>('SELECT 1 FROM ledger WHERE key = ? AND first_seen_at IS NOT NULL').pluck();
    this.#webhook = db.prepare<[number], WebhookRow>(
      'SELECT channel, method, suffix, event, body FROM webhooks WHERE id = ?',
    );
    this.#wasSent = db
      .prepare<[number, number, number]>(
        `SELECT 1 FROM deliveries WHERE webhook_id = ? AND target = ?
           AND (positions IS NULL OR EXISTS (SELECT 1 FROM json_each(positions) WHERE value = ?))`,
      )
      .pluck();
    this.#letGo = db.prepare('UPDATE sightings SET held = 0 WHERE webhook_id = ? AND position = ?');
  }

  /** Returns the new deliveries. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE */
  release(channel: string, messageId: string, targetIds: readonly string[] | null, now: number): number[] {
    const key = messageKey(channel, messageId);
    const sightings = this.#sightings.all({ key });
    const held = sightings.findLast((sighting) => sighting.held === 1);
    const webhook = held && this.#webhook.get(held.webhook_id);
    if (!held || !webhook) throw this.#nothingHeld(key, sightings.length > 0);
    return this.#releaseTo(targetIds, held, sightings, webhook, now);
  }

  /**
   * The same for what bulk work has come to: of a message its newest repetition, a revision by itself. Targets that were
   * removed meanwhile are left out. Returns the new deliveries. @throws GatewayError GW_NOT_HELD
   */
  releaseRow(row: HeldRow, targetIds: readonly string[] | null, now: number): number[] {
    const sightings = this.#sightings.all({ key: row.message_key });
    const found = sightings.find((each) => each.webhook_id === row.webhook_id && each.position === row.position);
    const held =
      found?.verdict === 'event' ? found : sightings.findLast((each) => each.held === 1 && each.verdict !== 'event');
    const webhook = held?.held === 1 && this.#webhook.get(held.webhook_id);
    if (!held || !webhook) throw this.#nothingHeld(row.message_key, true);
    const living = targetIds?.filter((id) => this.#registry.targets().has(id)) ?? null;
    return this.#releaseTo(living, held, sightings, webhook, now);
  }

  #releaseTo(
    targetIds: readonly string[] | null,
    held: MessageSighting,
    sightings: readonly MessageSighting[],
    webhook: WebhookRow,
    now: number,
  ): number[] {
    const everyone = [...this.#registry.targets().values()].filter(({ target }) =>
      subscribes(target, webhook.channel, eventNamed(webhook.event)),
    );
    const chosen = targetIds ? targetIds.map((id) => this.#registry.mustHaveTarget(id)) : everyone;
    const owed = chosen.filter((target) => !this.#hasBeenSent(target, held));
    if (owed.length === 0) throw nobodyOwed(chosen.length);
    const made = owed.map(({ number }) => this.#send(number, held, webhook, now));
    if (everyone.every((target) => this.#hasBeenSent(target, held))) this.#letGoOf(sightings, held);
    return made;
  }

  #nothingHeld(key: Buffer, wasSeen: boolean): GatewayError {
    if (wasSeen) {
      return new GatewayError('GW_NOT_HELD', 'This message is not held: every target that wants it was sent it.');
    }
    if (this.#wasSeen.get(key) === undefined) {
      return new GatewayError('GW_NOT_FOUND', 'No webhook has carried this message.');
    }
    return new GatewayError('GW_PAYLOAD_GONE', 'The payload of this message was pruned. A resync brings it back.');
  }

  #hasBeenSent(target: NumberedTarget, { webhook_id, position }: MessageSighting): boolean {
    return this.#wasSent.get(webhook_id, target.number, position) !== undefined;
  }

  /** With a message go its repetitions: otherwise the next release would send it once more. A revision goes by itself. */
  #letGoOf(sightings: readonly MessageSighting[], released: MessageSighting): void {
    const repetitions =
      released.verdict === 'event' ? [released] : sightings.filter(({ verdict }) => verdict !== 'event');
    for (const { webhook_id, position } of repetitions) this.#letGo.run(webhook_id, position);
  }

  #send(target: number, { webhook_id, position, verdict }: MessageSighting, webhook: WebhookRow, now: number): number {
    const document = decode(webhook.body, webhook);
    const item = document.items[position];
    return this.#outbox.add(
      {
        webhookId: webhook_id,
        target,
        channel: webhook.channel,
        chats: laneKeys(webhook.channel, item ? [item] : []),
        verdicts: [verdict],
        positions: [position],
        body: document.items.length === 1 ? null : cut(document, [position]),
        newestMessageAt: item?.timestamp ?? null,
      },
      now,
    );
  }
}

function nobodyOwed(chosen: number): GatewayError {
  return new GatewayError(
    'GW_NOT_HELD',
    chosen === 0
      ? 'No target subscribes to this event. Name the targets that are to receive it.'
      : 'Every one of these targets was sent this message. To send it again, retry its delivery.',
  );
}

/**
 * The sightings of a message by itself, oldest first: those that the index has, and the first one, to which the ledger
 * points (see `sightings_by_message`).
 */
const SIGHTINGS_OF_MESSAGE = `
  SELECT webhook_id, position, verdict, held FROM sightings
    WHERE message_key = @key AND rule <> 10 AND carrier = 'messages'
  UNION
  SELECT s.webhook_id, s.position, s.verdict, s.held FROM ledger l
    JOIN sightings s ON s.webhook_id = l.webhook_id AND s.position = l.position
    WHERE l.key = @key
  ORDER BY webhook_id, position`;
