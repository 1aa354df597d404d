import type { Channel } from '../../model.js';
import { uuidOf } from './keys.js';
import type { Numbers } from './numbers.js';
import type { RegistryState } from './registry-cache.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import type {
  Candidate,
  EvidenceColumns,
  Known,
  LastOfObject,
  NewDeliveries,
  NewDelivery,
  NewestInChat,
  RecordedWebhook,
  RecordingRegistry,
  RecordingRows,
  RegistrationWindow,
  ShownMessage,
  SightingColumns,
  WebhookColumns,
} from '../rules/recording.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import type { Sliced } from '../../slices.js';
import type { Delivery } from '../outbox.js';
import type { Replay } from '../traffic.js';
import { contentKeys } from '../rules/content-keys.js';
import { mayBeShown } from '../rules/shown-messages.js';

/** A fingerprint of a registered message that Whapi has found again. */
export interface ShownRow {
  readonly key: string;
  readonly message_key: string;
  readonly message_id: string;
  came_as: string | null;
}

/** What was read for the webhooks of one transaction. Keys as `uuidOf` gives them. */
export interface Loaded {
  readonly ids: Map<string, LedgerFacts>;
  readonly windows: Map<string, RegistrationWindow[]>;
  readonly fingerprints: Map<string, number>;
  readonly chats: Map<string, NewestInChat>;
  readonly objects: Map<string, LastOfObject>;
  readonly shown: readonly ShownRow[];
  /** Unix seconds; null: there are none. */
  readonly newestShownAt: number | null;
}

/** A chat to save. Times of messages in Unix seconds. */
export interface ChatChange {
  newestAt: number;
  receivedAt: number;
  ownAt: number | null;
}

/** A delivery with its place. */
export interface PlacedDelivery {
  readonly id: number;
  readonly seq: number;
  readonly delivery: NewDelivery;
  readonly now: number;
}

/**
 * Stands for the tables while the recorder works, in memory: what is known, as it was read and as earlier webhooks of the
 * transaction have changed it, and the rows to write.
 */
export class RecordingState implements Known, RecordingRows, NewDeliveries, RecordingRegistry {
  readonly #loaded: Loaded;
  readonly #registry: RegistryState;
  readonly #numbers: Numbers;
  readonly webhooks: WebhookColumns[] = [];
  readonly sightings: SightingColumns[] = [];
  readonly evidenceRows: EvidenceColumns[] = [];
  readonly changedIds = new Map<string, LedgerFacts>();
  readonly changedChats = new Map<string, ChatChange>();
  readonly newFingerprints = new Map<string, number>();
  readonly changedObjects = new Map<string, LastOfObject>();
  readonly restoredKeys = new Map<string, number>();
  readonly cameAs = new Map<string, string>();
  readonly replays = new Map<string, Replay>();
  readonly bound = new Map<string, Channel>();
  readonly deliveries: PlacedDelivery[] = [];

  constructor(loaded: Loaded, registry: RegistryState, numbers: Numbers) {
    this.#loaded = loaded;
    this.#registry = registry;
    this.#numbers = numbers;
  }

  channel(name: string): Channel | undefined {
    return this.bound.get(name) ?? this.#registry.channels.get(name);
  }

  targets(): Iterable<NumberedTarget> {
    return this.#registry.targets.values();
  }

  id(key: Buffer): LedgerFacts | null {
    return this.#loaded.ids.get(uuidOf(key)) ?? null;
  }

  windows(key: Buffer): readonly RegistrationWindow[] {
    return this.#loaded.windows.get(uuidOf(key)) ?? [];
  }

  fingerprintAt(key: Buffer): number | undefined {
    return this.#loaded.fingerprints.get(uuidOf(key));
  }

  newestInChat(chat: Buffer): NewestInChat | undefined {
    return this.#loaded.chats.get(uuidOf(chat));
  }

  lastOfObject(key: Buffer, since: number): LastOfObject | undefined {
    const last = this.#loaded.objects.get(uuidOf(key));
    return last && last.recordedAt > since ? last : undefined;
  }

  hasMessageSince(chat: Buffer, time: number): boolean {
    return (this.newestInChat(chat)?.receivedAt ?? -Infinity) > time;
  }

  mayBeShown(timestamp: number | null): boolean {
    return mayBeShown(timestamp, this.#loaded.newestShownAt);
  }

  shown({ channel, message, key, isKnown }: Candidate, now: number): ShownMessage | null {
    const own = uuidOf(key);
    const keys = new Set([own, ...contentKeys(channel, message).map(uuidOf)]);
    const found = this.#loaded.shown.filter(
      (row) =>
        keys.has(row.key) && (row.came_as === own || (row.came_as === null && !isKnown)) && this.#isOpen(row, now),
    );
    const [first] = found.sort((one, other) => Number(one.came_as === null) - Number(other.came_as === null));
    return first ? { key: Buffer.from(first.message_key, 'hex'), messageId: first.message_id } : null;
  }

  #isOpen({ message_key: key }: ShownRow, now: number): boolean {
    const windows = this.#loaded.windows.get(key) ?? [];
    return windows.some(({ closesAt }) => closesAt === null || closesAt > now);
  }

  webhook(row: WebhookColumns): void {
    this.webhooks.push(row);
  }

  sighting(row: SightingColumns): void {
    this.sightings.push(row);
  }

  evidence(row: EvidenceColumns): void {
    this.evidenceRows.push(row);
  }

  newId(key: Buffer, facts: LedgerFacts): void {
    this.#loaded.ids.set(uuidOf(key), facts);
    this.changedIds.set(uuidOf(key), facts);
  }

  knownId(key: Buffer, facts: LedgerFacts): void {
    this.newId(key, facts);
  }

  messageInChat(chat: Buffer, sentAt: number, now: number): void {
    this.#saveInChat(chat, sentAt, now, false);
  }

  answerInChat(chat: Buffer, sentAt: number, now: number): void {
    this.#saveInChat(chat, sentAt, now, true);
  }

  #saveInChat(chat: Buffer, sentAt: number, now: number, isOwn: boolean): void {
    const key = uuidOf(chat);
    const known = this.#loaded.chats.get(key);
    if (!known || sentAt > known.timestamp) this.#loaded.chats.set(key, { timestamp: sentAt, receivedAt: now });
    const change = this.changedChats.get(key) ?? { newestAt: sentAt, receivedAt: now, ownAt: null };
    if (sentAt > change.newestAt) Object.assign(change, { newestAt: sentAt, receivedAt: now });
    if (isOwn) change.ownAt = Math.max(change.ownAt ?? sentAt, sentAt);
    this.changedChats.set(key, change);
  }

  fingerprint(key: Buffer, now: number): void {
    this.#loaded.fingerprints.set(uuidOf(key), now);
    this.newFingerprints.set(uuidOf(key), now);
  }

  saveLastOfObject(key: Buffer, last: Buffer, now: number): void {
    this.#loaded.objects.set(uuidOf(key), { last, recordedAt: now });
    this.changedObjects.set(uuidOf(key), { last, recordedAt: now });
  }

  restored(key: Buffer, now: number): void {
    this.restoredKeys.set(uuidOf(key), now);
  }

  shownCame(key: Buffer, cameAs: Buffer): void {
    this.cameAs.set(uuidOf(key), uuidOf(cameAs));
    for (const row of this.#loaded.shown) if (row.message_key === uuidOf(key)) row.came_as = uuidOf(cameAs);
  }

  replay(channel: string, replay: Replay): void {
    this.replays.set(channel, replay);
  }

  boundChannel(channel: Channel): void {
    this.bound.set(channel.name, channel);
  }

  // eslint-disable-next-line require-yield -- a delivery is only noted here
  *add(delivery: NewDelivery, _body: Buffer, { now }: RecordedWebhook): Sliced<Delivery | null> {
    const seq = this.#numbers.next();
    this.deliveries.push({ id: this.#numbers.idOf(seq), seq, delivery, now });
    return null;
  }

  /** The id of the next webhook. */
  nextId(): number {
    return this.#numbers.nextId();
  }
}
