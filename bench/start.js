import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { median } from './load.js';
import { forgetPages } from './page-cache.js';
import { startGateway } from './servers.js';

/**
 * Starts on large files, from the start of the process until `/readyz` answers: with a file that is mostly payloads, and
 * with a million pending deliveries. Cold: the file's pages are not in the page cache (the program's own files are).
 * Each start is compared with one on an empty file in the same round.
 */
const PAYLOADS = 250_000;
const PAYLOAD_BYTES = 800;
const PENDING = 1_000_000;
const PENDING_BYTES = 200;
const ROUNDS = 3;
/** As many as a ledger has in front of its runs: a start reads them. */
const RECENT_IDS = 130_000;
const MIB = 1024 * 1024;

const files = {
  empty: await prepared(() => undefined),
  payloads: await prepared((db) => {
    addWebhooks(db, PAYLOADS, PAYLOAD_BYTES, 'delivered');
  }),
  pending: await prepared((db) => {
    addWebhooks(db, PENDING, PENDING_BYTES, 'pending');
    db.exec(`INSERT INTO lanes SELECT target, chats, seq, id FROM deliveries;
      INSERT INTO target_counts (target, pending) VALUES (1, ${PENDING});`);
  }),
};

const times = Object.fromEntries(Object.keys(files).map((name) => [name, { cold: [], warm: [] }]));
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, gateway] of Object.entries(files)) {
    forgetPages(gateway.file);
    times[name].cold.push(await startTime(gateway));
    times[name].warm.push(await startTime(gateway));
  }
}
const ms = (name, kind) => Math.round(median(times[name][kind]));
const figures = (name) => ({
  file_mb: Math.round(statSync(files[name].file).size / MIB),
  ...{ cold_ms: ms(name, 'cold'), coldest_ms: Math.round(Math.max(...times[name].cold)), warm_ms: ms(name, 'warm') },
});
console.log(
  JSON.stringify({
    bench: 'a start on a large file with no page of it in memory, until /readyz answers',
    baseline: 'the same with an empty file',
    ratio: Number((ms('payloads', 'cold') / ms('empty', 'cold')).toFixed(2)),
    million_pending_ratio: Number((ms('pending', 'cold') / ms('empty', 'cold')).toFixed(2)),
    payloads: figures('payloads'),
    million_pending: figures('pending'),
    empty: figures('empty'),
    rounds: ROUNDS,
  }),
);
for (const gateway of Object.values(files)) await gateway.stop();

/** A stopped gateway whose file holds what `fill` writes. */
async function prepared(fill) {
  const gateway = await startGateway();
  await gateway.call('POST', '/v1/targets', { name: 'bot', url: 'http://127.0.0.1:9', enabled: false });
  await gateway.halt();
  const file = join(gateway.folder, 'gateway.db');
  const db = new Database(file);
  db.exec('BEGIN');
  fill(db);
  db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
  return Object.assign(gateway, { file });
}

/** One message and one delivery in each, in its own chat, with ids near the present. */
function addWebhooks(db, count, bytes, status) {
  const now = Date.now();
  const before = now * 2048 - 2 * count;
  db.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body)
      SELECT ${before} + i, 'main', ${now}, 'POST', '', 'messages.post', randomblob(${bytes}) FROM n;
    INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
        created_at, settled_at, log)
      SELECT id, id, 1, 'main', '${status}', id, randomblob(16), 0, ${now}, 0, 0, 'new', ${now},
        iif('${status}' = 'pending', NULL, ${now}), '[]' FROM webhooks;
    INSERT INTO sightings (webhook_id, position, carrier, message_key, message_id, verdict, rule, held)
      SELECT id, 0, 'messages', randomblob(16), hex(randomblob(16)), 'new', 10, 0 FROM webhooks;
    INSERT INTO ledger_runs (number, state, last_id, parts, part_bytes) VALUES (1, 'done', 0, 1, 8);
    INSERT INTO ledger_recent (key, webhook_id, fingerprint, position)
      SELECT message_key, webhook_id, randomblob(8), 0 FROM sightings ORDER BY webhook_id LIMIT ${RECENT_IDS};
    INSERT INTO ledger_ids (run, key, webhook_id, fingerprint, position)
      SELECT 1, message_key, webhook_id, randomblob(8), 0 FROM (
        SELECT message_key, webhook_id FROM sightings ORDER BY webhook_id LIMIT -1 OFFSET ${RECENT_IDS});`);
}

/** From the start of the process until it is ready; stops it again. */
async function startTime(gateway) {
  const startedAt = performance.now();
  await gateway.restart();
  const { status } = await fetch(`${gateway.url}/readyz`);
  const time = performance.now() - startedAt;
  if (status !== 200) throw new Error(`/readyz answered ${status}.`);
  await gateway.halt();
  return time;
}
