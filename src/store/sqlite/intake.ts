import { GatewayError } from '../../errors.js';
import type { Document } from '../../intake/decode.js';
import { nameOf } from '../../intake/event.js';
import { isPlaceholder, isUnseen, judge, writesLedger } from '../../intake/judge.js';
import { cutter, route } from '../../intake/route.js';
import type { Cutter, JudgedItem, Route } from '../../intake/route.js';
import type { Channel, IncomingWebhook } from '../../model.js';
import type { Ids } from '../rules/ids.js';
import { laneKeys } from '../rules/keys.js';
import type { Db } from './database.js';
import { ItemMemory, MemoryTables } from './memory.js';
import { Objects } from './objects.js';
import type { SqliteOutbox } from './outbox.js';
import type { SqliteRegistry } from './registry.js';
import type { Recorded } from '../intake.js';

/** Of a message id so much is kept for people to read. Whapi's have some dozens of characters; the key is of the whole id. */
const LONGEST_SHOWN_ID = 1024;

/** No webhook brings the messages, but the release of an audit. */
export interface Recovery {
  readonly auditId: string;
  /** The targets that are to receive them; from others they are held. */
  readonly targetIds: ReadonlySet<string>;
}

interface Judged extends JudgedItem {
  readonly memory: ItemMemory;
}

/** The recording transaction: what is remembered is read, the items are judged and routed, all is written. */
export class SqliteIntake {
  readonly #ids: Ids;
  readonly #registry: SqliteRegistry;
  readonly #outbox: SqliteOutbox;
  readonly #tables: MemoryTables;
  readonly #objects: Objects;
  readonly #insertWebhook;
  readonly #insertSighting;
  readonly #markRestored;

  constructor(db: Db, ids: Ids, registry: SqliteRegistry, outbox: SqliteOutbox) {
    this.#ids = ids;
    this.#registry = registry;
    this.#outbox = outbox;
    this.#tables = new MemoryTables(db);
    this.#objects = new Objects(db);
    this.#insertWebhook = db.prepare(
      `INSERT INTO webhooks (id, channel, received_at, method, suffix, content_type, event, body, audit, via) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertSighting = db.prepare(
      `INSERT INTO sightings (webhook_id, position, carrier, message_key, message_id, verdict, rule, held, placeholder)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    // Where it came before Whapi was asked, nobody asks any more, so the window begins to run now.
    this.#markRestored = db.prepare<{ now: number; key: Buffer }>(
      `UPDATE resync_messages SET status = 'restored', restored_at = @now, settled_at = @now, proof = 'webhook',
         next_at = NULL, error = NULL,
         closes_at = coalesce(closes_at, @now + 1000 * (SELECT window_seconds FROM resyncs WHERE number = resync))
       WHERE key = @key AND closed = 0 AND status IN ('queued', 'requesting', 'waiting', 'failed')`,
    );
  }

  /** For use inside a transaction. @throws GatewayError GW_NOT_FOUND, GW_CHANNEL_MISMATCH */
  record(webhook: IncomingWebhook, document: Document, now: number, recovery: Recovery | null = null): Recorded {
    const channel = this.#registry.mustHaveChannel(webhook.channel);
    this.#holdToChannelId(channel, document.channelId);
    const webhookId = this.#ids.next(now);
    const event = nameOf(document.event);
    this.#insertWebhook.run(
      webhookId,
      channel.name,
      now,
      webhook.method,
      webhook.suffix,
      webhook.contentType,
      event,
      document.body,
      recovery?.auditId ?? null,
      webhook.via ?? null,
    );
    const judged = this.#judge(document, channel, event, webhookId, now, recovery !== null);
    const targets = [...this.#registry.targets().values()].map(({ target }) =>
      recovery?.targetIds.has(target.id) === false ? { ...target, deliver: [] } : target,
    );
    const { cut, mostParts } = cutter(document);
    const { routes, held } = route(judged, document.event, channel.name, targets, mostParts);
    judged.forEach(({ item, memory, verdict, rule }, at) => {
      this.#insertSighting.run(
        webhookId,
        at,
        item.carrier,
        memory.key,
        item.messageId?.slice(0, LONGEST_SHOWN_ID) ?? null,
        verdict,
        rule,
        held.has(at) ? 1 : 0,
        isPlaceholder(item) ? 1 : 0,
      );
    });
    for (const way of routes) this.#deliver(way, webhookId, channel.name, cut, judged, now);
    return { verdicts: judged.map(({ verdict }) => verdict), deliveries: routes.length };
  }

  #holdToChannelId(channel: Channel, channelId: string | null): void {
    if (channelId === null || channelId === channel.channelId) return;
    if (channel.channelId !== null) {
      throw new GatewayError(
        'GW_CHANNEL_MISMATCH',
        `This webhook is of another Whapi channel than the one that "${channel.name}" was first seen with. Give each ` +
          'Whapi channel a channel here; if the number was moved, PATCH the channel with { "channel_id": null }.',
      );
    }
    this.#registry.updateChannel({ ...channel, channelId });
  }

  /** One after the other: the second of two equal items in one webhook meets what the first has left (I3). */
  #judge(
    document: Document,
    channel: Channel,
    event: string,
    webhookId: number,
    now: number,
    recovered: boolean,
  ): Judged[] {
    const repetitions = this.#objects.repetitionsIn(document, channel.name, event, now);
    return document.items.map((item, position) => {
      const isRepetition = repetitions.has(position);
      const memory = new ItemMemory(this.#tables, channel.name, item, document.body, now, { recovered, isRepetition });
      const at = { receivedAt: now, lateAfterSeconds: channel.lateAfterSeconds, recovered };
      const judgement = judge(item, memory, at);
      const recover = judgement.rule === 3 && memory.deliverUnseen && isUnseen(item, memory);
      const isFirst = !memory.known;
      const isRemembered = writesLedger(item, judgement);
      if (memory.key && isRemembered) {
        this.#tables.remember(memory, memory.key, judgement.rule, webhookId, position, now);
        if (judgement.rule === 3) this.#markRestored.run({ now, key: memory.key });
      }
      this.#tables.noteFingerprint(memory, memory.isFingerprintInLedger || (isFirst && isRemembered), now);
      return { item, memory, recover, ...judgement };
    });
  }

  #deliver(
    way: Route,
    webhookId: number,
    channel: string,
    cut: Cutter['cut'],
    judged: readonly Judged[],
    now: number,
  ): void {
    const sent = way.positions.flatMap((position) => judged[position] ?? []);
    const times = sent.flatMap(({ item }) =>
      item.kind === 'message' && item.timestamp !== null ? [item.timestamp] : [],
    );
    this.#outbox.add(
      {
        webhookId,
        target: this.#registry.mustHaveTarget(way.target.id).number,
        channel,
        chats: laneKeys(
          channel,
          sent.map(({ item }) => item),
        ),
        verdicts: sent.map(({ verdict }) => verdict),
        positions: way.whole ? null : way.positions,
        body: way.whole ? null : cut(way.positions),
        newestMessageAt: times.length > 0 ? times.reduce((a, b) => Math.max(a, b)) : null,
      },
      now,
    );
  }
}
