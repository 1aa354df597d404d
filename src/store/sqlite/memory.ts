import type { Item } from '../../intake/decode.js';
import { LONGEST_RETRY_DELAY_MS } from '../../intake/judge.js';
import type { Memory } from '../../intake/judge.js';
import { chatKey, messageKey, fingerprintKey } from '../rules/keys.js';
import type { Db } from './database.js';

interface LedgerRow {
  fingerprint: Buffer | null;
  first_seen_at: number | null;
  seeded_at: number | null;
  unposted: number;
}

/** A registration whose window nobody has closed yet. */
interface WindowRow {
  closes_at: number | null;
  refused: number;
  deliver_unseen: number;
}

/** The look-ups and writes of what is remembered of message ids, bytes and chats. */
export class MemoryTables {
  readonly ledgerRow;
  readonly windows;
  readonly fingerprint;
  readonly newest;
  readonly #remember;
  readonly #noteNewest;
  readonly #noteFingerprint;

  constructor(db: Db) {
    this.ledgerRow = db.prepare<[Buffer], LedgerRow>(
      'SELECT fingerprint, first_seen_at, seeded_at, unposted FROM ledger WHERE key = ?',
    );
    this.windows = db.prepare<[Buffer], WindowRow>(
      `SELECT m.closes_at, m.refused, r.deliver_unseen FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.key = ? AND m.closed = 0`,
    );
    this.fingerprint = db.prepare<[Buffer]>('SELECT 1 FROM fingerprints WHERE key = ?').pluck();
    this.newest = db.prepare<[Buffer], { timestamp: number; receivedAt: number }>(
      'SELECT newest_at AS timestamp, received_at AS receivedAt FROM chats WHERE key = ?',
    );
    // A row made by a seeding or when a window closed has seen nothing yet: its first sighting is now.
    this.#remember = db.prepare(
      `INSERT INTO ledger (key, fingerprint, first_seen_at, last_seen_at, rule, webhook_id, position, unposted)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET last_seen_at = excluded.last_seen_at,
         unposted = CASE WHEN first_seen_at IS NULL THEN excluded.unposted ELSE min(unposted, excluded.unposted) END,
         fingerprint = coalesce(fingerprint, excluded.fingerprint), first_seen_at = coalesce(first_seen_at, excluded.first_seen_at),
         rule = coalesce(rule, excluded.rule), webhook_id = coalesce(webhook_id, excluded.webhook_id),
         position = coalesce(position, excluded.position)`,
    );
    this.#noteNewest = db.prepare(
      `INSERT INTO chats (key, newest_at, received_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET newest_at = excluded.newest_at, received_at = excluded.received_at
       WHERE excluded.newest_at > newest_at`,
    );
    this.#noteFingerprint = db.prepare(
      `INSERT INTO fingerprints (key, recorded_at) VALUES (?, ?)
       ON CONFLICT (key) DO UPDATE SET recorded_at = excluded.recorded_at`,
    );
  }

  /** Writes an id into the ledger, or refreshes its last sighting, and notes its chat's newest message. */
  remember(of: ItemMemory, key: Buffer, rule: number, webhookId: number, position: number, now: number): void {
    const { timestamp, method } = of.item;
    this.#remember.run(key, of.fingerprint, now, now, rule, webhookId, position, method === 'post' ? 0 : 1);
    if (timestamp === null || !of.chat) return;
    // No message is newer than its receipt: one wrong clock must not make all that follow look late.
    this.#noteNewest.run(of.chat, Math.min(Math.floor(timestamp), Math.floor(now / 1000)), now);
  }

  /** Notes the bytes of a message. The first ones stand in its ledger row; all others have rows of their own. */
  noteFingerprint(of: ItemMemory, isInLedger: boolean, now: number): void {
    if (of.item.kind === 'message' && !isInLedger) this.#noteFingerprint.run(of.fingerprint, now);
  }
}

/** How an item comes to be recorded. */
export interface Recording {
  /** No webhook brings it, but the release of an audit: only what a webhook carried counts as known. */
  readonly recovered: boolean;
  /** It repeats what was recorded last about its object. */
  readonly isRepetition: boolean;
}

/** What is remembered of one item; each look-up is made at most once, and only when a row of the table asks for it. */
export class ItemMemory implements Memory {
  readonly item: Item;
  /** Key of its message id; null where it has none. */
  readonly key: Buffer | null;
  readonly #tables: MemoryTables;
  readonly #channel: string;
  readonly #body: Buffer;
  readonly #now: number;
  readonly #how: Recording;
  #row: LedgerRow | null | undefined;
  #windowRows: readonly WindowRow[] | undefined;
  #fingerprint: Buffer | undefined;
  #chat: Buffer | undefined;

  constructor(tables: MemoryTables, channel: string, item: Item, body: Buffer, now: number, how: Recording) {
    this.#tables = tables;
    this.#channel = channel;
    this.#body = body;
    this.#now = now;
    this.#how = how;
    this.item = item;
    this.key = item.messageId === null ? null : messageKey(channel, item.messageId);
  }

  get registered(): boolean {
    return this.#openWindows.length > 0;
  }

  /** An open registration asks for messages never seen to be sent to the bots as well. */
  get deliverUnseen(): boolean {
    return this.#openWindows.some(({ deliver_unseen }) => deliver_unseen === 1);
  }

  get known(): boolean {
    return this.#how.recovered ? this.seen : this.#isRemembered || this.#hasLapsed;
  }

  /** Some webhook carried it: more than having been asked for, or seeded. */
  get seen(): boolean {
    return this.#ledgerRow !== null && this.#ledgerRow.first_seen_at !== null;
  }

  get unposted(): boolean {
    return this.seen && this.#ledgerRow?.unposted === 1 && !this.#hasLapsed;
  }

  get recorded(): boolean {
    if (this.item.kind !== 'message') return this.#how.isRepetition;
    return this.isFingerprintInLedger || this.#tables.fingerprint.get(this.fingerprint) !== undefined;
  }

  get newestInChat(): { timestamp: number; receivedAt: number } | null {
    return this.chat ? (this.#tables.newest.get(this.chat) ?? null) : null;
  }

  get fingerprint(): Buffer {
    this.#fingerprint ??= fingerprintKey(this.#channel, this.item, this.#body);
    return this.#fingerprint;
  }

  get isFingerprintInLedger(): boolean {
    return this.item.kind === 'message' && this.#ledgerRow?.fingerprint?.equals(this.fingerprint) === true;
  }

  /** Key of its chat; null where it belongs to none. */
  get chat(): Buffer | null {
    if (this.item.chatId === null) return null;
    this.#chat ??= chatKey(this.#channel, this.item.chatId);
    return this.#chat;
  }

  get #ledgerRow(): LedgerRow | null {
    if (this.#row === undefined) this.#row = (this.key && this.#tables.ledgerRow.get(this.key)) ?? null;
    return this.#row;
  }

  /** A seeding may have met an id in Whapi's list before its webhook came, so what it wrote counts only later. */
  get #isRemembered(): boolean {
    const row = this.#ledgerRow;
    if (row === null) return false;
    const { first_seen_at, seeded_at } = row;
    return first_seen_at !== null || seeded_at === null || this.#now - seeded_at >= LONGEST_RETRY_DELAY_MS;
  }

  get #openWindows(): WindowRow[] {
    return this.#windows.filter(({ closes_at }) => closes_at === null || closes_at > this.#now);
  }

  /** A window has run out and only was not closed yet: its id counts as remembered from the moment on at which it ran out. */
  get #hasLapsed(): boolean {
    return this.#windows.some(
      ({ closes_at, refused }) => closes_at !== null && closes_at <= this.#now && refused === 0,
    );
  }

  get #windows(): readonly WindowRow[] {
    this.#windowRows ??= this.key ? this.#tables.windows.all(this.key) : [];
    return this.#windowRows;
  }
}
