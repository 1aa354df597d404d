import type { Item } from '../../intake/decode.js';
import { LONGEST_RETRY_DELAY_MS } from '../../intake/judge.js';
import type { Memory } from '../../intake/judge.js';
import { chatKey, fingerprintKey, laneKey, messageKey } from './keys.js';
import type { LedgerFacts } from './ledger-facts.js';
import type { Known, RegistrationWindow } from './recording.js';

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
  readonly #facts: Known;
  readonly #channel: string;
  readonly #body: Buffer;
  readonly #now: number;
  readonly #context: RecordingContext;
  #remembered: LedgerFacts | null | undefined;
  #windowRows: readonly RegistrationWindow[] | undefined;
  #fingerprint: Buffer | undefined;
  #chat: Buffer | undefined;
  #lane: Buffer | undefined;
  #original: ItemMemory | null | undefined;

  constructor(facts: Known, channel: string, item: Item, body: Buffer, now: number, context: RecordingContext) {
    this.#facts = facts;
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
    return this.#openWindows.some(({ deliverUnseen }) => deliverUnseen);
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
    return this.isFingerprintInLedger || this.#facts.fingerprintAt(this.fingerprint) !== undefined;
  }

  get newestInChat(): { timestamp: number; receivedAt: number } | null {
    return this.chat ? (this.#facts.newestInChat(this.chat) ?? null) : null;
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
  get remembered(): LedgerFacts | null {
    if (this.#remembered === undefined) this.#remembered = this.key && this.#facts.id(this.key);
    return this.#remembered;
  }

  #findOriginal(): ItemMemory | null {
    const { item, key } = this;
    if (this.#context.recovered || key === null || !this.#facts.mayBeShown(item.timestamp)) return null;
    const message: unknown = JSON.parse(this.#body.toString('utf8', item.span.start, item.span.end));
    const candidate = { channel: this.#channel, message, key, isKnown: this.known };
    const found = this.#facts.shown(candidate, this.#now);
    if (!found) return null;
    const original = { ...item, messageId: found.messageId };
    return new ItemMemory(this.#facts, this.#channel, original, this.#body, this.#now, this.#context);
  }

  /** A seeding may list an id before its webhook comes, so a seeded id counts after Whapi's longest retry delay. */
  get #isRemembered(): boolean {
    if (this.remembered === null) return false;
    const { firstSeenAt, seededAt } = this.remembered;
    return firstSeenAt !== null || seededAt === null || this.#now - seededAt >= LONGEST_RETRY_DELAY_MS;
  }

  get #openWindows(): RegistrationWindow[] {
    return this.#windows.filter(({ closesAt }) => closesAt === null || closesAt > this.#now);
  }

  /** A window has run out and is not closed yet. Its id counts as remembered from the time it ran out. */
  get #hasLapsed(): boolean {
    return this.#windows.some(({ closesAt, isRefused }) => closesAt !== null && closesAt <= this.#now && !isRefused);
  }

  get #windows(): readonly RegistrationWindow[] {
    this.#windowRows ??= this.key ? this.#facts.windows(this.key) : [];
    return this.#windowRows;
  }
}
