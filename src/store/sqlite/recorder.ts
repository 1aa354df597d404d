import { GatewayError, noSuchChannel } from '../../errors.js';
import { isPaced } from '../../intake/backlog.js';
import type { Document } from '../../intake/decode.js';
import { nameOf } from '../../intake/event.js';
import { isNeverSeen, isPlaceholder, isUnseen, judge, RULE, writesLedger } from '../../intake/judge.js';
import { ReplayWatch } from '../../intake/replays.js';
import { cutter, route } from '../../intake/route.js';
import type { Cutter, JudgedItem, Route } from '../../intake/route.js';
import { withMessage } from '../../intake/timestamp.js';
import type { Channel, IncomingWebhook, Judgement, Target, Verdict } from '../../model.js';
import { finish } from '../../slices.js';
import type { Sliced } from '../../slices.js';
import { parseEventName } from '../rules/event-names.js';
import { deliveryId, encodeNumber } from '../rules/ids.js';
import type { Ids } from './numbering.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { Db } from './database.js';
import { EvidenceTable } from './evidence.js';
import { ItemMemory, LedgerTables } from './ledger.js';
import type { LedgerMemory } from './ledger-memory.js';
import { ReplayTable } from './replay-table.js';
import { ObjectTables } from './object-tables.js';
import type { DeliveryTables, NewDelivery } from './delivery-tables.js';
import { Offers } from './offers.js';
import type { RegistryTables } from './registry-tables.js';
import { isEndOfSlice, WRITES_PER_SLICE } from './slices.js';
import type { Recorded } from '../intake.js';
import type { Delivery } from '../outbox.js';

/** Longest message id that is stored for people to read, in characters; the key covers the whole id. Whapi's have dozens. */
const MAX_SHOWN_ID_LENGTH = 1024;

/** Messages that the release of an audit records, instead of a webhook from Whapi. */
export interface Recovery {
  readonly auditId: string;
  /** The targets that receive them; for other targets they are held. */
  readonly targetIds: ReadonlySet<string>;
}

interface RecordedWebhook {
  readonly webhookId: number;
  readonly webhook: IncomingWebhook;
  readonly event: string;
  readonly now: number;
}

/** Items times targets that one slice routes: some milliseconds. */
const ROUTED_PER_SLICE = 50_000;
/** A delivery in more lanes than this is not leased as it is recorded. */
const MOST_LANES_HELD = 100;
/** Writing this much of a body takes about as long as writing a row. */
const BODY_BYTES_PER_ROW = 8192;

interface Judged extends JudgedItem {
  readonly memory: ItemMemory;
}

/** What the recorders of all connections share, besides the ledger's memory. */
export interface RecorderMemory {
  readonly offers?: Offers;
  readonly replays?: ReplayWatch;
}

/** Whether targets receive a restored message, because none has and its registration says so (`deliver_unseen`). */
function isRecovered(memory: ItemMemory, { rule }: Judgement): boolean {
  const { item } = memory;
  if (rule === RULE.registered) return memory.deliverUnseen && isUnseen(item, memory);
  const original = rule === RULE.anotherId ? memory.original : null;
  return original !== null && original.deliverUnseen && isUnseen(item, original) && isUnseen(item, memory);
}

/** Records a webhook: reads what is known of its items, judges and routes them, and writes webhook, verdicts and deliveries. */
export class WebhookRecorder {
  readonly #ids: Ids;
  readonly #registry: RegistryTables;
  readonly #deliveries: DeliveryTables;
  readonly #ledger: LedgerTables;
  readonly #objects: ObjectTables;
  readonly #evidence: EvidenceTable;
  readonly #offers: Offers;
  readonly #replays: ReplayTable;
  readonly #insertWebhook;
  readonly #insertSighting;
  readonly #markRestored;

  constructor(
    db: Db,
    ids: Ids,
    registry: RegistryTables,
    deliveries: DeliveryTables,
    ledger: LedgerMemory,
    { offers = new Offers(), replays = new ReplayWatch() }: RecorderMemory = {},
  ) {
    this.#ids = ids;
    this.#registry = registry;
    this.#deliveries = deliveries;
    this.#ledger = new LedgerTables(db, ledger);
    this.#objects = new ObjectTables(db);
    this.#evidence = new EvidenceTable(db);
    this.#offers = offers;
    this.#replays = new ReplayTable(db, replays);
    this.#insertWebhook = db.prepare(
      `INSERT INTO webhooks (id, channel, received_at, method, suffix, content_type, event, body, audit, via) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertSighting = db.prepare(
      `INSERT INTO sightings (webhook_id, position, carrier, message_key, message_id, verdict, rule, held, placeholder)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    // A message that came before the call to Whapi needs no call any more, so its window starts now.
    this.#markRestored = db.prepare<{ now: number; key: Buffer }>(
      `UPDATE resync_messages SET status = 'restored', restored_at = @now, settled_at = @now, proof = 'webhook',
         next_at = NULL, error = NULL,
         closes_at = coalesce(closes_at, @now + 1000 * (SELECT window_seconds FROM resyncs WHERE number = resync))
       WHERE key = @key AND closed = 0 AND status IN ('queued', 'requesting', 'waiting', 'failed')`,
    );
  }

  /** Why `record` would refuse this webhook: GW_NOT_FOUND, GW_CHANNEL_MISMATCH; null: it would not. */
  refusalOf(webhook: IncomingWebhook, { channelId }: Document): GatewayError | null {
    const channel = this.#registry.channels().get(webhook.channel);
    if (!channel) return noSuchChannel(webhook.channel);
    if (channelId === null || channel.channelId === null || channelId === channel.channelId) return null;
    return new GatewayError(
      'GW_CHANNEL_MISMATCH',
      `The webhook comes from another Whapi channel: "${channel.name}" belongs to channel_id "${channel.channelId}". Add a ` +
        'channel for each Whapi channel; if the number has moved, PATCH this one with { "channel_id": null }.',
    );
  }

  /**
   * For use inside a transaction.
   * @param recovery null: the webhook came from Whapi
   * @throws GatewayError GW_NOT_FOUND, GW_CHANNEL_MISMATCH
   */
  record(webhook: IncomingWebhook, document: Document, now: number, recovery: Recovery | null = null): Recorded {
    return finish(this.recordInSlices(webhook, document, now, recovery));
  }

  /** The same in slices, for a webhook with many items. A webhook with a few is recorded in one slice. */
  *recordInSlices(
    webhook: IncomingWebhook,
    document: Document,
    now: number,
    recovery: Recovery | null = null,
  ): Sliced<Recorded> {
    const refusal = this.refusalOf(webhook, document);
    if (refusal) throw refusal;
    const channel = this.#bound(this.#registry.requireChannel(webhook.channel), document.channelId);
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
    const judged = yield* this.#judge(document, channel, event, webhookId, now, recovery !== null);
    const { deliveries, leased, held } = yield* this.#deliver(
      document,
      judged,
      { webhookId, webhook, event, now },
      recovery,
    );
    for (const [at, { item, memory, verdict, rule }] of judged.entries()) {
      if (isEndOfSlice(at)) yield;
      this.#insertSighting.run(
        webhookId,
        at,
        item.carrier,
        memory.key,
        item.messageId?.slice(0, MAX_SHOWN_ID_LENGTH) ?? null,
        verdict,
        rule,
        held.has(at) ? 1 : 0,
        isPlaceholder(item) ? 1 : 0,
      );
    }
    const verdicts = judged.map(({ verdict }) => verdict);
    const replay = this.#replays.save(channel.name);
    return { webhook: encodeNumber(webhookId), judgements: judged, held, verdicts, replay, deliveries, leased };
  }

  /** The first webhook with a channel id binds it to the channel. */
  #bound(channel: Channel, channelId: string | null): Channel {
    if (channelId === null || channel.channelId !== null) return channel;
    const bound = { ...channel, channelId };
    this.#registry.updateChannel(bound);
    return bound;
  }

  /** Judges items one after the other, so that the second of two equal items in a webhook is a duplicate of the first (I3). */
  *#judge(
    document: Document,
    channel: Channel,
    event: string,
    webhookId: number,
    now: number,
    recovered: boolean,
  ): Sliced<Judged[]> {
    const isHeldAsReplay = (memory: ItemMemory): boolean =>
      !recovered && channel.onReplay === 'hold' && this.#replays.includes(channel, memory, now);
    this.#replays.begin(channel.name, now);
    const repetitions = yield* this.#objects.repetitionsIn(document, channel.name, event, now);
    const judged: Judged[] = [];
    for (const [position, item] of document.items.entries()) {
      if (isEndOfSlice(position)) yield;
      const repeatedAt = repetitions.get(position);
      const isRepetition = repeatedAt !== undefined;
      const memory = new ItemMemory(this.#ledger, channel.name, item, document.body, now, {
        ...{ recovered, isRepetition, isHeldAsReplay },
      });
      const at = { receivedAt: now, lateAfterSeconds: channel.lateAfterSeconds, recovered };
      const judgement = judge(item, memory, at);
      if (!recovered && isNeverSeen(judgement)) this.#replays.count(channel, memory, judgement.rule, now);
      if (judgement.rule !== RULE.usual)
        this.#evidence.save(webhookId, position, memory, {
          ...{ ...judgement, ...at, repeatedAt },
          replay: judgement.rule === RULE.replayed ? this.#replays.evidenceOf(channel) : null,
        });
      const recover = isRecovered(memory, judgement);
      const isFirst = !memory.known;
      const isRemembered = writesLedger(item, judgement);
      if (memory.key && isRemembered) {
        this.#ledger.remember(memory, memory.key, judgement.rule, webhookId, position, now);
        this.#noteRestored(memory, memory.key, judgement, now);
      }
      this.#ledger.saveFingerprint(memory, memory.isFingerprintInLedger || (isFirst && isRemembered), now);
      judged.push({ item, memory, recover, ...judgement });
    }
    return judged;
  }

  /** The message of a registration has come, under its own id (row 3) or another one. */
  #noteRestored(memory: ItemMemory, key: Buffer, { rule }: Judgement, now: number): void {
    const registered = rule === RULE.registered ? key : rule === RULE.anotherId ? memory.original?.key : null;
    if (!registered) return;
    this.#markRestored.run({ now, key: registered });
    if (this.#ledger.shown.mayInclude(memory.item.timestamp)) this.#ledger.shown.came(registered, key);
  }

  /** Routes and adds the deliveries, some targets at a time. */
  *#deliver(
    document: Document,
    judged: readonly Judged[],
    recorded: RecordedWebhook,
    recovery: Recovery | null,
  ): Sliced<{ deliveries: number; leased: readonly Delivery[]; held: ReadonlySet<number> }> {
    const targets = [...this.#registry.targets().values()].map(({ target }) =>
      recovery?.targetIds.has(target.id) === false ? { ...target, deliver: [] } : target,
    );
    const { cut, mostParts } = cutter(document);
    const targetsPerSlice = Math.max(1, Math.floor(ROUTED_PER_SLICE / Math.max(1, judged.length)));
    const allHeld = new Set<number>();
    const leased: Delivery[] = [];
    let deliveries = 0;
    let rows = 0;
    for (let from = 0; from < targets.length; from += targetsPerSlice) {
      if (from > 0) yield;
      const some = targets.slice(from, from + targetsPerSlice);
      const { routes, held } = route(judged, document.event, recorded.webhook.channel, some, mostParts);
      for (const position of held) allHeld.add(position);
      for (const each of routes) {
        const delivery = yield* this.#deliveryOf(each, judged, recorded, cut);
        rows += 1 + delivery.lanes.length / KEY_BYTES + (delivery.body?.length ?? 0) / BODY_BYTES_PER_ROW;
        if (rows > WRITES_PER_SLICE) {
          rows = 0;
          yield;
        }
        const sent = recovery ? null : this.#lease(each.target, delivery, document.body, recorded);
        if (sent) leased.push(sent);
        else yield* this.#deliveries.addInSlices(delivery, recorded.now);
        deliveries += 1;
      }
    }
    return { deliveries, leased, held: allHeld };
  }

  /** Adds a delivery that is leased from its commit on. Null: no offer of its target is left, or it must wait in a lane. */
  #lease(
    { id: targetId }: Pick<Target, 'id'>,
    delivery: NewDelivery,
    webhookBody: Buffer,
    { webhook, event, now }: RecordedWebhook,
  ): Delivery | null {
    const offer = this.#offers.of(targetId);
    if (!offer || delivery.lanes.length > MOST_LANES_HELD * KEY_BYTES) return null;
    const { target } = this.#registry.requireTarget(targetId); // the settings as stored: the routed target may differ
    if (!target.enabled || isPaced(delivery, target, now)) return null;
    const leaseEndsAt = now + offer.leaseMs;
    const lease = this.#deliveries.addLeased(delivery, now, leaseEndsAt);
    if (!lease) return null;
    const body = delivery.body ?? webhookBody;
    this.#offers.spend(targetId, offer, body.length);
    return {
      id: deliveryId(lease.id),
      ...{ lease: lease.token, leaseEndsAt, target, channel: delivery.channel, event: parseEventName(event) },
      ...{ method: webhook.method, suffix: webhook.suffix, contentType: webhook.contentType, body },
      ...{ verdicts: delivery.verdicts, attempts: 0, besideSchedule: false, streak: null, via: webhook.via ?? null },
      recordedAt: now,
      isFromBacklog: false,
      newestMessageAt: delivery.newestMessageAt,
    };
  }

  *#deliveryOf(
    { target, positions, whole }: Route,
    judged: readonly Judged[],
    { webhookId, webhook: { channel } }: RecordedWebhook,
    cut: Cutter['cut'],
  ): Sliced<NewDelivery> {
    const lanes = new Set<string>();
    const verdicts: Verdict[] = [];
    let newestMessageAt: number | null = null;
    for (const [at, position] of positions.entries()) {
      if (isEndOfSlice(at)) yield;
      const sent = judged[position];
      if (!sent) continue;
      const { item, memory, verdict } = sent;
      lanes.add(memory.lane.toString('latin1'));
      verdicts.push(verdict);
      newestMessageAt = withMessage(newestMessageAt, item);
    }
    return {
      webhookId,
      target: this.#registry.requireTarget(target.id).number,
      channel,
      lanes: Buffer.from([...lanes].join(''), 'latin1'),
      verdicts,
      positions: whole ? null : positions,
      body: whole ? null : cut(positions),
      newestMessageAt,
    };
  }
}
