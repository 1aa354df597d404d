import Database from 'better-sqlite3';
import { deliveryId, encodeNumber } from '../../src/store/rules/ids.js';
import { leastId } from '../../src/store/sqlite/numbering.js';
import { messageKey } from '../../src/store/rules/keys.js';

/** Webhooks of twenty items each. */
const WEBHOOKS = 50_000;
const ITEMS = 20;
/** Items of one webhook, which a split gives one delivery each for two targets. */
const LARGE = 3000;
/** A poll whose votes all have its id: one in each webhook. */
export const POLL = 'the-poll';

export interface LongFile {
  readonly items: number;
  /** Ids that lists and single views take. */
  readonly largeWebhook: string;
  readonly delivery: string;
  /** Milliseconds: the newest tenth was recorded since. */
  readonly tenthSince: number;
}

/** Fills the closed file of a store with a channel `main` and two targets, the first two that were made. */
export function fillLongFile(file: string, now: number): LongFile {
  const db = new Database(file);
  // One webhook in a second, up to now: ids grow with the time of recording.
  const startedAt = now - WEBHOOKS * 1000;
  const webhook = `${leastId(startedAt)} + i * ${leastId(1000)}`;
  const large = leastId(now) - 1_000_000;
  db.pragma('synchronous = OFF');
  db.pragma('cache_size = -200000');
  db.exec(`BEGIN;
    CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${WEBHOOKS - 1}) SELECT i FROM n;
    CREATE TEMP TABLE p AS WITH RECURSIVE p (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM p WHERE i < ${ITEMS - 1}) SELECT i FROM p;
    INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body)
      SELECT ${webhook}, 'main', ${startedAt} + i * 1000, 'POST', '', 'messages.post', CAST('{"messages":[]}' AS BLOB) FROM n;`);
  // Mostly new messages; one restored and held, one repeated and held, and one vote in each webhook.
  db.prepare(
    `INSERT INTO sightings (webhook_id, position, carrier, message_key, message_id, verdict, rule, held)
     SELECT ${webhook.replace('i *', 'n.i *')}, p.i, 'messages',
       CASE p.i WHEN 9 THEN ? ELSE CAST(printf('%016d', n.i * 20 + p.i) AS BLOB) END,
       CASE p.i WHEN 9 THEN '${POLL}' ELSE 'id-' || (n.i * 20 + p.i) END,
       CASE p.i WHEN 9 THEN 'event' WHEN 8 THEN 'duplicate' WHEN 7 THEN 'restored' ELSE 'new' END,
       CASE p.i WHEN 9 THEN 2 WHEN 8 THEN 8 WHEN 7 THEN 3 ELSE 10 END, p.i IN (7, 8)
     FROM n CROSS JOIN p`,
  ).run(messageKey('main', POLL));
  const targets = db.prepare<[], number>('SELECT number FROM targets ORDER BY number').pluck().all();
  for (const [at, target] of targets.entries()) {
    const id = `${webhook} + ${1 + at}`;
    db.exec(`INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
        created_at, settled_at, log)
      SELECT ${id}, ${webhook}, ${target}, 'main', iif(i % 4 = 0, 'pending', iif(i % 4 = 1, 'dead', 'delivered')), ${id},
        CAST(printf('%016d', i) AS BLOB), 0, ${now}, 1, 1, 'new', ${now}, iif(i % 4 = 0, NULL, ${now - 1000}), '[]' FROM n;
      INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
        positions, body, created_at, settled_at, log)
      SELECT ${large + 1 + at} + i * 2, ${large}, ${target}, 'main', 'delivered', 0, x'', 0, ${now}, 1, 1, 'new',
        json_array(i), CAST('{"messages":[]}' AS BLOB), ${now}, ${now - 1000}, '[]' FROM n WHERE i < ${LARGE};
      INSERT INTO target_counts (target, pending) VALUES (${target}, ${WEBHOOKS / 4});`);
  }
  const body = JSON.stringify({ messages: Array.from({ length: LARGE }, (_, at) => largeItem(at)) });
  db.prepare(
    `INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body) VALUES (?, 'main', ?, 'POST', '', 'messages.post', ?)`,
  ).run(large, now - 1000, Buffer.from(body));
  db.prepare(
    `INSERT INTO sightings (webhook_id, position, carrier, message_key, message_id, verdict, rule, held)
     SELECT ?, i, 'messages', ?, '${POLL}', 'event', 2, 0 FROM n WHERE i < ${LARGE}`,
  ).run(large, messageKey('main', POLL));
  db.exec('COMMIT');
  db.close();
  return {
    items: WEBHOOKS * ITEMS + LARGE,
    largeWebhook: encodeNumber(large),
    delivery: deliveryId(leastId(startedAt) + 1),
    tenthSince: now - WEBHOOKS * 100,
  };
}

function largeItem(at: number): object {
  return { id: POLL, type: 'poll_update', chat_id: 'alice', timestamp: 1, text: { body: `${at} ${'x'.repeat(200)}` } };
}
