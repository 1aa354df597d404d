import { GatewayError } from '../../errors.js';
import { decode } from '../../intake/decode.js';
import { cut, subscribes } from '../../intake/route.js';
import type { WebhookHttpMethod } from '../../model.js';
import { chatKey, messageKey } from '../keys.js';
import type { Db } from './database.js';
import { eventNamed } from './outbox.js';
import type { SqliteOutbox } from './outbox.js';
import type { SqliteRegistry } from './registry.js';
import { repeatsMessage } from './sightings.js';
import type { MessageSighting, SqliteSightings } from './sightings.js';

interface WebhookRow {
  channel: string;
  method: WebhookHttpMethod;
  suffix: string;
  event: string;
  body: Buffer;
}

/** Sending a held message after all. For use inside a transaction. */
export class SqliteRelease {
  readonly #registry: SqliteRegistry;
  readonly #outbox: SqliteOutbox;
  readonly #sightings: SqliteSightings;
  readonly #inLedger;
  readonly #webhook;
  readonly #letGo;

  constructor(db: Db, registry: SqliteRegistry, outbox: SqliteOutbox, sightings: SqliteSightings) {
    this.#registry = registry;
    this.#outbox = outbox;
    this.#sightings = sightings;
    this.#inLedger = db.prepare<[Buffer]>('SELECT 1 FROM ledger WHERE key = ? AND first_seen_at IS NOT NULL').pluck();
    this.#webhook = db.prepare<[number], WebhookRow>(
      'SELECT channel, method, suffix, event, body FROM webhooks WHERE id = ?',
    );
    this.#letGo = db.prepare('UPDATE sightings SET held = 0 WHERE webhook_id = ? AND position = ?');
  }

  /** Returns the new deliveries. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE */
  release(channel: string, messageId: string, targetIds: readonly string[] | null, now: number): number[] {
    const key = messageKey(channel, messageId);
    const sightings = this.#sightings.of(key);
    const held = sightings.findLast((sighting) => sighting.held === 1);
    if (!held) throw this.#nothingHeld(key, sightings.length > 0);
    const webhook = this.#webhook.get(held.webhook_id);
    if (!webhook) throw this.#nothingHeld(key, false);
    const everyone = [...this.#registry.targets().values()].filter(({ target }) =>
      subscribes(target, channel, eventNamed(webhook.event)),
    );
    const chosen = targetIds ? targetIds.map((id) => this.#registry.mustHaveTarget(id)) : everyone;
    const same = repeatsMessage(held) ? sightings.filter(repeatsMessage) : [held];
    const owed = chosen.filter(({ number }) => !this.#sightings.wereSent(same, number));
    if (owed.length === 0) {
      throw new GatewayError(
        'GW_NOT_HELD',
        chosen.length === 0
          ? 'No target subscribes to this event. Name the targets that are to receive it.'
          : 'Every one of these targets was sent this message. To send it again, retry its delivery.',
      );
    }
    const made = owed.map(({ number }) => this.#send(number, held, webhook, now));
    if (everyone.every(({ number }) => this.#sightings.wereSent(same, number))) {
      for (const { webhook_id, position } of same) this.#letGo.run(webhook_id, position);
    }
    return made;
  }

  #nothingHeld(key: Buffer, wasSeen: boolean): GatewayError {
    if (wasSeen)
      return new GatewayError('GW_NOT_HELD', 'This message is not held: every target that wants it was sent it.');
    if (this.#inLedger.get(key) === undefined) {
      return new GatewayError('GW_NOT_FOUND', 'No webhook has carried this message.');
    }
    return new GatewayError('GW_PAYLOAD_GONE', 'The payload of this message was pruned. A resync brings it back.');
  }

  #send(target: number, { webhook_id, position, verdict }: MessageSighting, webhook: WebhookRow, now: number): number {
    const document = decode(webhook.body, webhook);
    const item = document.items[position];
    return this.#outbox.add(
      {
        webhookId: webhook_id,
        target,
        channel: webhook.channel,
        chats: chatKey(webhook.channel, item?.chatId ?? ''),
        verdicts: [verdict],
        positions: [position],
        body: document.items.length === 1 ? null : cut(document, [position]),
        newestMessageAt: item?.timestamp ?? null,
      },
      now,
    );
  }
}
