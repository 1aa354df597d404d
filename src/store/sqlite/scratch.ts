import { inSlices, nextTurn } from '../../event-loop.js';
import type { Document, Item } from '../../intake/decode.js';
import { nameOf } from '../../intake/event.js';
import type { Channel, IncomingWebhook } from '../../model.js';
import { Ids, leastId } from './numbering.js';
import { contentKeys } from '../rules/content-keys.js';
import { ReplayWatch } from '../../intake/replays.js';
import { chatKey, fingerprintKey, messageKey } from '../rules/keys.js';
import { NOTHING_SEALED, PROBE, withoutItself } from '../rules/trials.js';
import type { JudgedView } from '../rules/trials.js';
import { openInMemory } from './database.js';
import type { Db } from './database.js';
import { DeliveryTables } from './delivery-tables.js';
import { EvidenceViews } from './evidence.js';
import { LedgerMemory } from './ledger-memory.js';
import { objectKeysIn } from '../rules/object-repetitions.js';
import { createRecorder } from './recorder.js';
import { RegistryTables } from './registry-tables.js';
import { RememberedIds } from './remembered-ids.js';
import { SIGHTING_COLUMNS } from './sightings.js';
import type { SightingRow } from './sightings.js';
import { TargetCounts } from './target-counts.js';

/** Items whose memory one slice copies, and items that it reads back. */
const ITEMS_PER_SLICE = 100;
/** As many ids as a webhook may have. */
const ROOM_FOR_IDS = 16_384;

/**
 * A database in memory that records a webhook as the real one would, knowing what that knows of its items, and then forgets
 * everything. So a trial runs the code that records, and the real database is only read.
 */
export class Scratch {
  readonly #real: Db;
  readonly #ids: RememberedIds;
  readonly #replays: ReplayWatch;
  #db: Db | null = null;
  /** One trial at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(real: Db, ids: RememberedIds, replays = new ReplayWatch()) {
    this.#real = real;
    this.#replays = replays;
    this.#ids = ids;
  }

  /** @throws GatewayError GW_CHANNEL_MISMATCH */
  async judge(webhook: IncomingWebhook, document: Document, channel: Channel, now: number): Promise<JudgedView[]> {
    const work = this.#last.then(async () => await this.#judge(webhook, document, channel, now));
    this.#last = work.catch(() => undefined);
    return await work;
  }

  async #judge(webhook: IncomingWebhook, document: Document, channel: Channel, now: number): Promise<JudgedView[]> {
    const db = (this.#db ??= openInMemory());
    db.prepare('BEGIN').run();
    try {
      const ledger = new LedgerMemory(db, ROOM_FOR_IDS);
      ledger.newestShownAt = Infinity; // what is copied counts, however old
      await this.#copyMemory(db, new RememberedIds(db, ledger), document, channel.name);
      const registry = new RegistryTables(db);
      registry.insertChannel({ ...channel, whapiToken: NOTHING_SEALED, webhookSecret: NOTHING_SEALED });
      registry.insertTarget(PROBE);
      const ids = new Ids(leastId(now));
      const deliveries = new DeliveryTables(db, ids, registry, new TargetCounts(db, registry));
      const recorder = createRecorder(db, ids, registry, deliveries, ledger, { replays: this.#replays.copy() });
      await inSlices(recorder.recordInSlices(webhook, document, now));
      return await this.#readBack(db, now);
    } finally {
      db.prepare('ROLLBACK').run();
    }
  }

  /** Copies what is known of the items: nothing else can decide their verdicts. */
  async #copyMemory(db: Db, ids: RememberedIds, document: Document, channel: string): Promise<void> {
    const copy = (table: string, column: string, value: Buffer | number): Record<string, unknown>[] =>
      copyRows(this.#real, db, table, column, value);
    for (const [at, item] of document.items.entries()) {
      if (at % ITEMS_PER_SLICE === ITEMS_PER_SLICE - 1) await nextTurn();
      for (const { table, key } of keysOf(item, channel, document.body)) copy(table, 'key', key);
      if (item.messageId === null) continue;
      const key = messageKey(channel, item.messageId);
      this.#copyId(db, ids, key);
      for (const each of shownKeysOf(item, channel, document.body, key))
        for (const { message_key: registered } of copy('content_fingerprints', 'key', each))
          if (Buffer.isBuffer(registered)) this.#copyId(db, ids, registered);
    }
    const keys = await inSlices(objectKeysIn(document, channel, nameOf(document.event)));
    for (const [at, { key, removedChat }] of keys.entries()) {
      if (at % ITEMS_PER_SLICE === ITEMS_PER_SLICE - 1) await nextTurn();
      copy('objects', 'key', key);
      if (removedChat) copy('chats', 'key', removedChat);
    }
  }

  /** Copies what is known of an id: its place in the ledger and its registrations. */
  #copyId(db: Db, ids: RememberedIds, key: Buffer): void {
    const known = ids.find(key) === null ? this.#ids.find(key) : null;
    if (known) ids.insert(key, known);
    for (const { resync } of copyRows(this.#real, db, 'resync_messages', 'key', key))
      copyRows(this.#real, db, 'resyncs', 'number', Number(resync));
  }

  async #readBack(db: Db, now: number): Promise<JudgedView[]> {
    const evidence = new EvidenceViews(this.#real, this.#ids, db);
    const unseen = new Set(recoveredPositions(db));
    const select = db.prepare<[number], SightingRow>(
      `SELECT ${SIGHTING_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.webhook_id = (SELECT max(id) FROM webhooks) AND s.position > ? ORDER BY s.position LIMIT ${ITEMS_PER_SLICE}`,
    );
    const found: JudgedView[] = [];
    for (let rows = select.all(-1); rows.length > 0; rows = select.all(rows.at(-1)?.position ?? Infinity)) {
      for (const row of rows)
        found.push({
          view: withoutItself(evidence.item(row), now),
          ...{ verdict: row.verdict, rule: row.rule },
          recover: row.verdict === 'restored' && unseen.has(row.position),
        });
      await nextTurn();
    }
    return found;
  }
}

function recoveredPositions(db: Db): Iterable<number> {
  const row = db
    .prepare<[], { positions: string | null; verdicts: string }>(
      'SELECT positions, verdicts FROM deliveries WHERE id > (SELECT max(id) FROM webhooks) LIMIT 1',
    )
    .get();
  if (!row) return [];
  return row.positions === null ? row.verdicts.split(',').keys() : (JSON.parse(row.positions) as number[]);
}

/** The keys under which a registered message that it equals may be stored. */
function shownKeysOf({ kind, span }: Item, channel: string, body: Buffer, key: Buffer): Buffer[] {
  if (kind !== 'message') return [];
  return [key, ...contentKeys(channel, JSON.parse(body.toString('utf8', span.start, span.end)))];
}

/** The keys under which something may be known of an item. */
function keysOf(item: Item, channel: string, body: Buffer): { table: string; key: Buffer }[] {
  return [
    ...(item.kind === 'message' ? [{ table: 'fingerprints', key: fingerprintKey(channel, item, body) }] : []),
    ...(item.chatId === null ? [] : [{ table: 'chats', key: chatKey(channel, item.chatId) }]),
  ];
}

function copyRows(from: Db, to: Db, table: string, column: string, value: Buffer | number): Record<string, unknown>[] {
  const rows = from
    .prepare<[Buffer | number], Record<string, unknown>>(`SELECT * FROM ${table} WHERE ${column} = ?`)
    .all(value);
  for (const row of rows) {
    const names = Object.keys(row);
    to.prepare(
      `INSERT OR IGNORE INTO ${table} (${names.join()}) VALUES (${names.map((name) => `@${name}`).join()})`,
    ).run(row);
  }
  return rows;
}
