import { isAnswer } from '../../intake/backlog.js';
import type { Item } from '../../intake/decode.js';
import { LONGEST_RETRY_DELAY_MS, RULE } from '../../intake/judge.js';
import type { Memory } from '../../intake/judge.js';
import { sentBefore } from '../../intake/timestamp.js';
import { chatKey, laneKey, messageKey, fingerprintKey } from '../rules/keys.js';
import type { Db } from './database.js';
import type { LedgerMemory } from './ledger-memory.js';
import { RememberedIds } from './remembered-ids.js';
import type { RememberedId } from './remembered-ids.js';
import { ShownMessages } from './shown-messages.js';

/** A registration that is not closed yet; its window may have run out. */
interface WindowRow {
  closes_at: number | null;
  refused: number;
  deliver_unseen: number;
}

/** The ledger and what belongs to it: open registrations, fingerprints, and the newest message of each chat. */
export class LedgerTables {
  readonly ids: RememberedIds;
  readonly shown: ShownMessages;
  readonly windows;
  readonly fingerprint;
  readonly newestInChat;
  readonly #saveNewestInChat;
  readonly #saveAnswerInChat;
  readonly #saveFingerprint;

  constructor(db: Db, memory: LedgerMemory) {
    this.ids = new RememberedIds(db, memory);
    this.shown = new ShownMessages(db, memory);
    this.windows = db.prepare<[Buffer], WindowRow>(
      `SELECT m.closes_at, m.refused, r.deliver_unseen FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.key = ? AND m.closed = 0`,
    );
    this.fingerprint = db.prepare<[Buffer]>('SELECT 1 FROM fingerprints WHERE key = ?').pluck();
    this.newestInChat = db.prepare<[Buffer], { timestamp: number; receivedAt: number }>(
      'SELECT newest_at AS timestamp, received_at AS receivedAt FROM chats WHERE key = ?',
    );
    this.#saveNewestInChat = db.prepare(
      `INSERT INTO chats (key, newest_at, received_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET newest_at = excluded.newest_at, received_at = excluded.received_at
       WHERE excluded.newest_at > newest_at`,
    );
    this.#saveAnswerInChat = db.prepare<{ chat: Buffer; sentAt: number; now: number }>(
      `INSERT INTO chats (key, newest_at, received_at, own_at) VALUES (@chat, @sentAt, @now, @sentAt)
       ON CONFLICT (key) DO UPDATE SET newest_at = max(newest_at, @sentAt),
         received_at = CASE WHEN @sentAt > newest_at THEN @now ELSE received_at END,
         own_at = max(coalesce(own_at, @sentAt), @sentAt)`,
    );
    this.#saveFingerprint = db.prepare(
      `INSERT INTO fingerprints (key, recorded_at) VALUES (?, ?)
       ON CONFLICT (key) DO UPDATE SET recorded_at = excluded.recorded_at`,
    );
  }

  /** Writes an id into the ledger or refreshes its last sighting, and saves its chat's newest message. */
  remember(memory: ItemMemory, key: Buffer, rule: number, webhookId: number, position: number, now: number): void {
    const { timestamp, method } = memory.item;
    // Whatever comes under an id of row 18 is not new, its first post included.
    const unposted = method !== 'post' && rule !== RULE.anotherId;
    const before = memory.remembered;
    const first = { fingerprint: memory.fingerprint, firstSeenAt: now, lastSeenAt: now, rule, webhookId, position };
    if (!before) this.ids.insert(key, { ...first, seededAt: null, unposted });
    // An id from a seeding, or from a window that closed, has no sighting yet: this is its first.
    else
      this.ids.update(key, before, {
        ...before,
        ...(before.firstSeenAt === null && first),
        fingerprint: before.fingerprint ?? first.fingerprint,
        lastSeenAt: now,
        unposted: before.firstSeenAt === null ? unposted : before.unposted && unposted,
      });
    if (timestamp === null || !memory.chat) return;
    const sentAt = sentBefore(timestamp, now);
    if (isAnswer(memory.item)) this.#saveAnswerInChat.run({ chat: memory.chat, sentAt, now });
    else this.#saveNewestInChat.run(memory.chat, sentAt, now);
  }

  /** Saves the fingerprint of a message. The first one is part of its ledger row; all others have rows of their own. */
  saveFingerprint(memory: ItemMemory, isInLedger: boolean, now: number): void {
    if (memory.item.kind === 'message' && !isInLedger) this.#saveFingerprint.run(memory.fingerprint, now);
  }
}

/** The circumstances under which an item is recorded. */
export interface RecordingContext {
  /** The release of an audit records it: then only ids that a webhook carried count as known. */
  readonly recovered: boolean;
  /** It repeats the last recorded event of its object. */
  readonly isRepetition: boolean;
  /** Whether a never-seen message belongs to a replay that its channel holds. */
  readonly isHeldAsReplay: (memory: ItemMemory) => boolean;
}

/** What is known of one item. Each lookup runs at most once, and only when a rule of the decision table needs it. */
export class ItemMemory implements Memory {
  readonly item: Item;
  /** Key of its message id; null: it has none. */
  readonly key: Buffer | null;
  readonly #ledger: LedgerTables;
  readonly #channel: string;
  readonly #body: Buffer;
  readonly #now: number;
  readonly #context: RecordingContext;
  #remembered: RememberedId | null | undefined;
  #windowRows: readonly WindowRow[] | undefined;
  #fingerprint: Buffer | undefined;
  #chat: Buffer | undefined;
  #lane: Buffer | undefined;
  #original: ItemMemory | null | undefined;

  constructor(ledger: LedgerTables, channel: string, item: Item, body: Buffer, now: number, context: RecordingContext) {
    this.#ledger = ledger;
    this.#channel = channel;
    this.#body = body;
    this.#now = now;
    this.#context = context;
    this.item = item;
    this.key = item.messageId === null ? null : messageKey(channel, item.messageId);
  }

  get registered(): boolean {
    return this.#openWindows.length > 0;
  }

  /** An open registration has `deliver_unseen`: messages that were never seen go to targets too. */
  get deliverUnseen(): boolean {
    return this.#openWindows.some(({ deliver_unseen }) => deliver_unseen === 1);
  }

  get known(): boolean {
    return this.#context.recovered ? this.seen : this.#isRemembered || this.#hasLapsed;
  }

  /** A webhook carried it: more than having been asked for, or seeded. */
  get seen(): boolean {
    return this.remembered !== null && this.remembered.firstSeenAt !== null;
  }

  get unposted(): boolean {
    return this.seen && this.remembered?.unposted === true && !this.#hasLapsed;
  }

  get resembles(): boolean {
    return this.original !== null;
  }

  /** What is known of the registered message that this one is under another id; null: it is none. */
  get original(): ItemMemory | null {
    if (this.#original === undefined) this.#original = this.#findOriginal();
    return this.#original;
  }

  get replayed(): boolean {
    return this.#context.isHeldAsReplay(this);
  }

  get recorded(): boolean {
    if (this.item.kind !== 'message') return this.#context.isRepetition;
    return this.isFingerprintInLedger || this.#ledger.fingerprint.get(this.fingerprint) !== undefined;
  }

  get newestInChat(): { timestamp: number; receivedAt: number } | null {
    return this.chat ? (this.#ledger.newestInChat.get(this.chat) ?? null) : null;
  }

  get fingerprint(): Buffer {
    this.#fingerprint ??= fingerprintKey(this.#channel, this.item, this.#body);
    return this.#fingerprint;
  }

  get isFingerprintInLedger(): boolean {
    const first = this.item.kind === 'message' ? this.remembered?.fingerprint : null;
    return first ? this.fingerprint.subarray(0, first.length).equals(first) : false;
  }

  /** Key of its chat; null: it belongs to none. */
  get chat(): Buffer | null {
    if (this.item.chatId === null) return null;
    this.#chat ??= chatKey(this.#channel, this.item.chatId);
    return this.#chat;
  }

  /** Key of its lane in deliveries (I6). */
  get lane(): Buffer {
    // The lane of a chat's messages has the key of the chat, which is mostly known here.
    this.#lane ??= (this.item.eventType === 'messages' ? this.chat : null) ?? laneKey(this.#channel, this.item);
    return this.#lane;
  }

  /** What the ledger knew of its id before; null: nothing. */
  get remembered(): RememberedId | null {
    if (this.#remembered === undefined) this.#remembered = this.key && this.#ledger.ids.find(this.key);
    return this.#remembered;
  }

  #findOriginal(): ItemMemory | null {
    const { item, key } = this;
    if (this.#context.recovered || key === null || !this.#ledger.shown.mayInclude(item.timestamp)) return null;
    const message: unknown = JSON.parse(this.#body.toString('utf8', item.span.start, item.span.end));
    const candidate = { channel: this.#channel, message, key, isKnown: this.known };
    const found = this.#ledger.shown.find(candidate, this.#now);
    if (!found) return null;
    const original = { ...item, messageId: found.messageId };
    return new ItemMemory(this.#ledger, this.#channel, original, this.#body, this.#now, this.#context);
  }

  /** A seeding may list an id before its webhook comes, so a seeded id counts after Whapi's longest retry delay. */
  get #isRemembered(): boolean {
    if (this.remembered === null) return false;
    const { firstSeenAt, seededAt } = this.remembered;
    return firstSeenAt !== null || seededAt === null || this.#now - seededAt >= LONGEST_RETRY_DELAY_MS;
  }

  get #openWindows(): WindowRow[] {
    return this.#windows.filter(({ closes_at }) => closes_at === null || closes_at > this.#now);
  }

  /** A window has run out and is not closed yet. Its id counts as remembered from the time it ran out. */
  get #hasLapsed(): boolean {
    return this.#windows.some(
      ({ closes_at, refused }) => closes_at !== null && closes_at <= this.#now && refused === 0,
    );
  }

  get #windows(): readonly WindowRow[] {
    this.#windowRows ??= this.key ? this.#ledger.windows.all(this.key) : [];
    return this.#windowRows;
  }
}
