import { GatewayError } from '../../errors.js';
import { decode } from '../../intake/decode.js';
import type { Document } from '../../intake/decode.js';
import { cutter } from '../../intake/route.js';
import type { Cutter } from '../../intake/route.js';
import type { WebhookHttpMethod } from '../../model.js';
import { parseItemId } from '../rules/ids.js';
import { laneKeys, messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import { HELD_COLUMNS } from './held.js';
import type { HeldRow, SqliteHeld } from './held.js';
import type { SqliteOutbox } from './outbox.js';
import type { NumberedTarget, SqliteRegistry } from './registry.js';
import { noSuchWebhook } from './webhook-views.js';

interface WebhookRow {
  method: WebhookHttpMethod;
  suffix: string;
  body: Buffer;
}

/** A webhook taken apart, for the next of its items. */
interface Opened {
  readonly webhookId: number;
  readonly document: Document;
  readonly cut: Cutter['cut'];
}

/**
 * Sending held items after all, to the targets from which they were withheld, to each once, however old their messages
 * are. Whether a target was sent an earlier sighting is not asked: who releases it wants it sent. For use inside a
 * transaction.
 */
export class SqliteRelease {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #outbox: SqliteOutbox;
  readonly #held: SqliteHeld;
  readonly #item;
  readonly #wasSeen;
  readonly #isStored;
  readonly #webhook;
  readonly #letGo;
  #opened: Opened | null = null;
  #bytesRead = 0;
  #bytesWritten = 0;

  constructor(db: Db, registry: SqliteRegistry, outbox: SqliteOutbox, held: SqliteHeld) {
    this.#db = db;
    this.#registry = registry;
    this.#outbox = outbox;
    this.#held = held;
    this.#item = db.prepare<[number, number], HeldRow>(
      `SELECT ${HELD_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.webhook_id = ? AND s.position = ?`,
    );
    this.#wasSeen = db.prepare<[Buffer]>('SELECT 1 FROM ledger WHERE key = ? AND first_seen_at IS NOT NULL').pluck();
    this.#isStored = db.prepare<{ key: Buffer }>(MESSAGE_IS_STORED).pluck();
    this.#webhook = db.prepare<[number], WebhookRow>('SELECT method, suffix, body FROM webhooks WHERE id = ?');
    this.#letGo = db.prepare('UPDATE sightings SET held = 0 WHERE webhook_id = ? AND position = ?');
  }

  /** Returns the new deliveries. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE */
  releaseItem(id: string, targetIds: readonly string[] | null, now: number): number[] {
    const place = parseItemId(id);
    if (place === null) throw noSuchItem(id);
    const row = this.#item.get(place.webhookId, place.position);
    if (!row) {
      if (this.#webhook.get(place.webhookId)) throw noSuchItem(id);
      throw noSuchWebhook(this.#db, place.webhookId, `item "${id}"`, now);
    }
    if (row.held === 0) throw notHeld('This item is not held: every target that wants it was sent it.');
    return this.#releaseOne(this.#named(targetIds), row, now);
  }

  /**
   * The newest held sighting of a message: of the message itself where there is one, else of a vote or a placeholder.
   * @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE
   */
  release(channel: string, messageId: string, targetIds: readonly string[] | null, now: number): number[] {
    const key = messageKey(channel, messageId);
    const held = this.#held.ofMessage(key);
    const row = held.findLast(({ rule, placeholder }) => !VOTES.has(rule) && placeholder === 0) ?? held.at(-1);
    if (!row) throw this.#nothingHeld(key);
    return this.#releaseOne(this.#named(targetIds), row, now);
  }

  /**
   * The same for what bulk work has come to: of a message its newest repetition, anything else by itself. Targets that
   * were removed meanwhile are left out. Returns the new deliveries. @throws GatewayError GW_NOT_HELD
   */
  releaseRow({ webhook_id, position }: HeldRow, targetIds: readonly string[] | undefined, now: number): number[] {
    const row = this.#item.get(webhook_id, position);
    if (row?.held !== 1) throw notHeld('This item is not held any more.');
    return this.#releaseTo(this.#held.living(targetIds), this.#held.repetitionsOf(row).at(-1) ?? row, now);
  }

  /**
   * Has these rows released until so many bytes of webhooks were read, or of bodies written: at least the first. A webhook
   * is read once for all of its items that stand together, and none is kept.
   */
  releaseWithin<T>(mostBytes: number, rows: readonly HeldRow[], release: (row: HeldRow) => T): T[] {
    const made: T[] = [];
    this.#bytesRead = 0;
    this.#bytesWritten = 0;
    try {
      for (const row of rows) {
        const isOpen = this.#opened?.webhookId === row.webhook_id;
        if (this.#bytesWritten >= mostBytes || (this.#bytesRead >= mostBytes && !isOpen)) break;
        made.push(release(row));
      }
      return made;
    } finally {
      this.#opened = null;
    }
  }

  /** @throws GatewayError GW_NOT_FOUND */
  #named(targetIds: readonly string[] | null): NumberedTarget[] | null {
    return targetIds && [...new Set(targetIds)].map((id) => this.#registry.mustHaveTarget(id));
  }

  #releaseOne(chosen: readonly NumberedTarget[] | null, row: HeldRow, now: number): number[] {
    return this.releaseWithin(1, [row], (only) => this.#releaseTo(chosen, only, now)).flat();
  }

  /** @param chosen null: all that subscribe */
  #releaseTo(chosen: readonly NumberedTarget[] | null, row: HeldRow, now: number): number[] {
    const everyone = this.#held.subscribers(row);
    const asked = chosen ?? everyone;
    const owed = this.#held.owed(asked, row);
    if (owed.length === 0) throw nothingToSend(asked.length);
    const made = this.#send(owed, row, now);
    // With a message go its repetitions: otherwise the next release would send it once more.
    if (this.#held.owed(everyone, row).length === 0)
      for (const each of this.#held.repetitionsOf(row)) this.#letGo.run(each.webhook_id, each.position);
    return made;
  }

  #nothingHeld(key: Buffer): GatewayError {
    if (this.#isStored.get({ key }) !== undefined) {
      return notHeld('This message is not held: every target that wants it was sent it.');
    }
    if (this.#wasSeen.get(key) === undefined) {
      return new GatewayError('GW_NOT_FOUND', 'No webhook has carried this message.');
    }
    return new GatewayError('GW_PAYLOAD_GONE', 'The payload of this message was pruned. A resync brings it back.');
  }

  #send(targets: readonly NumberedTarget[], { webhook_id, position, verdict, channel }: HeldRow, now: number) {
    const { document, cut } = this.#open(webhook_id);
    const item = document.items[position];
    const body = document.items.length === 1 ? null : cut([position]);
    this.#bytesWritten += (body?.length ?? 0) * targets.length;
    return targets.map((target) =>
      this.#outbox.add(
        {
          webhookId: webhook_id,
          target: target.number,
          channel,
          chats: laneKeys(channel, item ? [item] : []),
          verdicts: [verdict],
          positions: [position],
          body,
          newestMessageAt: null, // a release is sent however old its message is
          released: true,
        },
        now,
      ),
    );
  }

  #open(webhookId: number): Opened {
    if (this.#opened?.webhookId === webhookId) return this.#opened;
    const webhook = this.#webhook.get(webhookId);
    if (!webhook) throw new GatewayError('GW_INTERNAL', `Webhook ${webhookId} is missing.`);
    const document = decode(webhook.body, webhook);
    this.#bytesRead += webhook.body.length;
    this.#opened = { webhookId, document, cut: cutter(document).cut };
    return this.#opened;
  }
}

const VOTES: ReadonlySet<number> = new Set([1, 2]);

function noSuchItem(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no item "${id}". GET /v1/items lists them.`);
}

function notHeld(detail: string): GatewayError {
  return new GatewayError('GW_NOT_HELD', detail);
}

function nothingToSend(asked: number): GatewayError {
  return notHeld(
    asked === 0
      ? 'No target subscribes to this event. Name the targets that are to receive it.'
      : 'These targets already received this item. To send it again, retry its delivery.',
  );
}

/** The index by message leaves rule 10 out: that sighting is the one to which the ledger points. */
const MESSAGE_IS_STORED = `
  SELECT 1 FROM sightings WHERE message_key = @key AND rule <> 10 AND carrier = 'messages'
  UNION ALL
  SELECT 1 FROM ledger l JOIN sightings s ON s.webhook_id = l.webhook_id AND s.position = l.position WHERE l.key = @key
  LIMIT 1`;
