import Database from 'better-sqlite3';
import { systemEffects } from '../dist/effects.js';
import { decode } from '../dist/intake/decode.js';
import { openStore } from '../dist/store/open.js';

const PER_WEBHOOK = 1000;
const AT_ONCE = 4;
/** Folding begins at 131,072. */
const MOST_RECENT = 200_000;
const HINT = { method: 'POST', suffix: '' };

/**
 * Adds message ids of the channel `main` to the ledger of a stopped gateway through the store, in the order of arrival, so that
 * the file has the layout of a live gateway's. To take minutes and not an hour, each webhook carries a thousand messages without
 * a chat, and payloads are removed at once, not after their retention. No live gateway receives so many ids at a time, so
 * recording waits for folding, which would fall behind. Only `removePayloads` and `recentIds` depend on the tables.
 */
export async function rememberIds(file, count) {
  const store = await openStore({ engine: 'sqlite', file }, systemEffects);
  const beside = new Database(file);
  for (let done = 0; done < count; done += AT_ONCE * PER_WEBHOOK) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => record(store, done + at * PER_WEBHOOK, count)));
    removePayloads(beside);
    await folded(beside);
  }
  beside.close();
  await store.close();
}

async function record(store, from, count) {
  const messages = Array.from({ length: Math.min(PER_WEBHOOK, count - from) }, (_, at) => ({
    id: `p.w30M7fgwWD4XwHu.L${(from + at).toString(36)}-gNcCzMdVPg`, // never an id of `nextMessage`
    type: 'text',
  }));
  if (messages.length === 0) return;
  const document = decode(Buffer.from(JSON.stringify({ messages, event: { type: 'messages', event: 'post' } })), HINT);
  const webhook = { channel: 'main', ...HINT, contentType: 'application/json', body: document.body };
  await store.intake.record(webhook, document);
}

/** Resolves when the recent ids are no more than a live gateway has. */
async function folded(db) {
  while (recentIds(db) > MOST_RECENT) await new Promise((next) => setTimeout(next, 20));
}

/** By their numbers, which are given in order. 0 in a file of a version that has no recent ids. */
function recentIds(db) {
  if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'ledger_recent'").get()) return 0;
  const number = (order) => db.prepare(`SELECT id FROM ledger_recent ORDER BY id ${order} LIMIT 1`).pluck().get() ?? 0;
  return number('DESC') - number('ASC');
}

/** Deletes whole tables, which releases their pages without reading the rows. */
function removePayloads(db) {
  db.exec('BEGIN IMMEDIATE; DELETE FROM sightings; DELETE FROM webhooks; COMMIT');
}

/** Bytes of the pages in use, without the free pages that removed payloads left. Writes the write-ahead log into the file. */
export function bytesInUse(file) {
  const db = new Database(file);
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const bytes = db
    .prepare(
      'SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size',
    )
    .pluck()
    .get();
  db.close();
  return bytes;
}
