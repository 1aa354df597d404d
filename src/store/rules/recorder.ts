import { noSuchChannel } from '../../errors.js';
import { isAnswer } from '../../intake/backlog.js';
import type { Document } from '../../intake/decode.js';
import { nameOf } from '../../intake/event.js';
import { isNeverSeen, isPlaceholder, isUnseen, judge, RULE, writesLedger } from '../../intake/judge.js';
import { cutter, route } from '../../intake/route.js';
import type { Cutter } from '../../intake/route.js';
import { sentBefore } from '../../intake/timestamp.js';
import type { Channel, IncomingWebhook, Judgement, Target } from '../../model.js';
import { finish, isEndOfSlice, WRITES_PER_SLICE } from '../../slices.js';
import type { Sliced } from '../../slices.js';
import { encodeNumber } from './ids.js';
import { ItemMemory } from './item-memory.js';
import { keptEvidence } from './kept-evidence.js';
import { KEY_BYTES } from './keys.js';
import { factsAfter } from './ledger-facts.js';
import { deliveryOf } from './new-delivery.js';
import type { Judged } from './new-delivery.js';
import { ObjectRepetitions } from './object-repetitions.js';
import type { Known, NewDeliveries, RecordedWebhook, RecordingRegistry, RecordingRows } from './recording.js';
import { refusalOf } from './refusal.js';
import { ReplayRecording } from './replay-recording.js';
import type { ReplayWatch } from '../../intake/replays.js';
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

/** Items times targets that one slice routes: some milliseconds. */
const ROUTED_PER_SLICE = 50_000;
/** Writing this much of a body takes about as long as writing a row. */
const BODY_BYTES_PER_ROW = 8192;

/** What an engine gives to the recorder. */
export interface RecorderParts {
  readonly registry: RecordingRegistry;
  readonly known: Known;
  readonly rows: RecordingRows;
  readonly deliveries: NewDeliveries;
  readonly replays: ReplayWatch;
  /** The id of the next webhook. */
  readonly nextId: (now: number) => number;
}

/** Whether targets receive a restored message, because none has and its registration says so (`deliver_unseen`). */
function isRecovered(memory: ItemMemory, { rule }: Judgement): boolean {
  const { item } = memory;
  if (rule === RULE.registered) return memory.deliverUnseen && isUnseen(item, memory);
  const original = rule === RULE.anotherId ? memory.original : null;
  return original !== null && original.deliverUnseen && isUnseen(item, original) && isUnseen(item, memory);
}

/**
 * Records a webhook, for every engine: looks up what is known of its items, judges and routes them, and writes webhook,
 * verdicts and deliveries. It is synchronous, in slices. For use inside a transaction.
 */
export class WebhookRecorder {
  readonly #registry: RecordingRegistry;
  readonly #known: Known;
  readonly #rows: RecordingRows;
  readonly #deliveries: NewDeliveries;
  readonly #objects: ObjectRepetitions;
  readonly #replays: ReplayRecording;
  readonly #nextId: (now: number) => number;

  constructor({ registry, known, rows, deliveries, replays, nextId }: RecorderParts) {
    this.#registry = registry;
    this.#known = known;
    this.#rows = rows;
    this.#deliveries = deliveries;
    this.#objects = new ObjectRepetitions(known, rows);
    this.#replays = new ReplayRecording(replays, rows);
    this.#nextId = nextId;
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
    const stored = this.#registry.channel(webhook.channel);
    const refusal = refusalOf(this.#registry, webhook, document);
    if (refusal || !stored) throw refusal ?? noSuchChannel(webhook.channel);
    const channel = this.#bound(stored, document.channelId);
    const webhookId = this.#nextId(now);
    const event = nameOf(document.event);
    const audit = recovery?.auditId ?? null;
    this.#rows.webhook({ id: webhookId, receivedAt: now, webhook, event, body: document.body, audit });
    const judged = yield* this.#judge(document, channel, event, webhookId, now, recovery !== null);
    const { deliveries, leased, held } = yield* this.#deliver(
      document,
      judged,
      { webhookId, webhook, event, now, isRecovery: recovery !== null },
      recovery,
    );
    for (const [at, { item, memory, verdict, rule }] of judged.entries()) {
      if (isEndOfSlice(at)) yield;
      this.#rows.sighting({
        webhookId,
        position: at,
        carrier: item.carrier,
        messageKey: memory.key,
        messageId: item.messageId?.slice(0, MAX_SHOWN_ID_LENGTH) ?? null,
        verdict,
        rule,
        isHeld: held.has(at),
        isPlaceholder: isPlaceholder(item),
      });
    }
    const verdicts = judged.map(({ verdict }) => verdict);
    const replay = this.#replays.save(channel.name);
    return { webhook: encodeNumber(webhookId), judgements: judged, held, verdicts, replay, deliveries, leased };
  }

  /** The first webhook with a channel id binds it to the channel. */
  #bound(channel: Channel, channelId: string | null): Channel {
    if (channelId === null || channel.channelId !== null) return channel;
    const bound = { ...channel, channelId };
    this.#rows.boundChannel(bound);
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
      const memory = new ItemMemory(this.#known, channel.name, item, document.body, now, {
        ...{ recovered, isRepetition, isHeldAsReplay },
      });
      const at = { receivedAt: now, lateAfterSeconds: channel.lateAfterSeconds, recovered };
      const judgement = judge(item, memory, at);
      if (!recovered && isNeverSeen(judgement)) this.#replays.count(channel, memory, judgement.rule, now);
      if (judgement.rule !== RULE.usual) {
        const replay = judgement.rule === RULE.replayed ? this.#replays.evidenceOf(channel) : null;
        const kept = keptEvidence(memory, { ...judgement, ...at, repeatedAt, replay }, this.#known);
        if (kept) this.#rows.evidence({ webhookId, position, ...kept });
      }
      const recover = isRecovered(memory, judgement);
      const isFirst = !memory.known;
      const isRemembered = writesLedger(item, judgement);
      if (memory.key && isRemembered) {
        this.#remember(memory, memory.key, { rule: judgement.rule, webhookId, position }, now);
        this.#noteRestored(memory, memory.key, judgement, now);
      }
      // The first fingerprint is part of its ledger row; all others have rows of their own.
      const isInLedger = memory.isFingerprintInLedger || (isFirst && isRemembered);
      if (item.kind === 'message' && !isInLedger) this.#rows.fingerprint(memory.fingerprint, now);
      judged.push({ item, memory, recover, ...judgement });
    }
    return judged;
  }

  /** Writes an id into the ledger or refreshes its last sighting, and saves its chat's newest message. */
  #remember(
    memory: ItemMemory,
    key: Buffer,
    place: { readonly rule: number; readonly webhookId: number; readonly position: number },
    now: number,
  ): void {
    const { timestamp, method } = memory.item;
    // Whatever comes under an id of rule 18 or 19 is not new, its first post included.
    const isHeld = place.rule === RULE.anotherId || place.rule === RULE.replayed;
    const unposted = method !== 'post' && !isHeld;
    const before = memory.remembered;
    const facts = factsAfter(before, { ...place, fingerprint: memory.fingerprint, unposted }, now);
    if (before) this.#rows.knownId(key, facts);
    else this.#rows.newId(key, facts);
    if (timestamp === null || !memory.chat) return;
    const sentAt = sentBefore(timestamp, now);
    if (isAnswer(memory.item)) this.#rows.answerInChat(memory.chat, sentAt, now);
    else this.#rows.messageInChat(memory.chat, sentAt, now);
  }

  /** The message of a registration has come, under its own id (rule 3) or another one. */
  #noteRestored(memory: ItemMemory, key: Buffer, { rule }: Judgement, now: number): void {
    const registered = rule === RULE.registered ? key : rule === RULE.anotherId ? memory.original?.key : null;
    if (!registered) return;
    this.#rows.restored(registered, now);
    if (this.#known.mayBeShown(memory.item.timestamp)) this.#rows.shownCame(registered, key);
  }

  /** Routes and adds the deliveries, some targets at a time. */
  *#deliver(
    document: Document,
    judged: readonly Judged[],
    recorded: RecordedWebhook,
    recovery: Recovery | null,
  ): Sliced<{ deliveries: number; leased: readonly Delivery[]; held: ReadonlySet<number> }> {
    const numbers = new Map<string, number>();
    const targets: Target[] = [];
    for (const { number, target } of this.#registry.targets()) {
      numbers.set(target.id, number);
      targets.push(recovery?.targetIds.has(target.id) === false ? { ...target, deliver: [] } : target);
    }
    const { cut, mostParts } = cutter(document);
    const cutOnce = once(cut);
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
        const number = numbers.get(each.target.id) ?? 0;
        const delivery = yield* deliveryOf(each, number, judged, recorded, cutOnce);
        rows += 1 + delivery.lanes.length / KEY_BYTES + (delivery.body?.length ?? 0) / BODY_BYTES_PER_ROW;
        if (rows > WRITES_PER_SLICE) {
          rows = 0;
          yield;
        }
        const sent = yield* this.#deliveries.add(delivery, delivery.body ?? document.body, recorded);
        if (sent) leased.push(sent);
        deliveries += 1;
      }
    }
    return { deliveries, leased, held: allHeld };
  }
}

/** Targets that get the same items get the same buffer: a large body for many targets would fill the memory. */
function once(cut: Cutter['cut']): Cutter['cut'] {
  const bodies = new Map<string, Buffer>();
  return (positions) => {
    const key = positions.join();
    const body = bodies.get(key) ?? cut(positions);
    bodies.set(key, body);
    return body;
  };
}
