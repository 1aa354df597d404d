import { hash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { migrationsOf } from '../../src/ledger/migrate.js';
import { openLedger } from '../../src/ledger/open.js';
import { kept } from '../../src/ledger/sqlite/database.js';
import type { Db } from '../../src/ledger/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';
import { LEASE, messages, record, status } from '../support/ledger.js';

const NOW = Date.now();
/** How version 9 keyed the one lane that a chat had. */
const LANE = hash('sha256', 'chat main "alice"', 'buffer').subarray(0, 16);

/** A database as version 9 left it: a channel `main`, a target `bot`. */
function databaseOfVersion9(file: string): Db {
  const db = kept(new Database(file));
  for (const { version, sql } of migrationsOf('sqlite')) if (version <= 9) db.exec(sql);
  db.exec(`PRAGMA application_id = 0x57524731; PRAGMA user_version = 9;
    INSERT INTO channels (name, whapi_token, webhook_secret, whapi_base_url, late_after_seconds, created_at)
      VALUES ('main', '', '', 'https://whapi.example', 900, 0);
    INSERT INTO targets (id, name, url, channels, events, deliver, mode, headers, secret, timeout_ms, max_attempts,
        concurrency, enabled, created_at)
      VALUES ('bot', 'bot', 'http://bot', '["*"]', '["*"]', '["new","event"]', 'body', '{}', '', 1, 9, 9, 1, 0);`);
  return db;
}

/** A pending delivery, behind those of its chat that were added before. */
function addPending(db: Db, id: number, event: string, body: unknown): void {
  db.prepare(
    `INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body) VALUES (?, 'main', 1, 'POST', '', ?, ?)`,
  ).run(id, event, Buffer.from(JSON.stringify(body)));
  db.prepare(
    `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries,
       verdicts, created_at, log) VALUES (?, ?, 1, 'main', 'pending', ?, ?, ?, 0, 0, 0, 'event', 1, '[]')`,
  ).run(id, id, id, LANE, id > 1 ? 1 : 0);
  db.prepare('INSERT INTO lanes (target, chat, seq, delivery_id) VALUES (1, ?, ?, ?)').run(LANE, id, id);
}

it('I6: what waited in the one lane of a chat keeps its order by kind, ahead of what comes after the upgrade', async () => {
  const file = join(temporaryFolder(), 'gateway.db');
  const db = databaseOfVersion9(file);
  addPending(db, 1, 'statuses.post', status('S1', 'alice'));
  addPending(db, 2, 'statuses.post', status('S2', 'alice'));
  addPending(db, 3, 'messages.post', messages('M1'));
  db.close();
  const ledger = openLedger({ engine: 'sqlite', file }, { now: () => NOW, randomBytes: (size) => Buffer.alloc(size) });
  onTestFinished(async () => await ledger.close());
  for (const body of [status('S3', 'alice'), messages('M2')]) await record(ledger, body);
  const rounds: string[][] = [];
  for (let round = 0; round < 3; round += 1) {
    const { deliveries } = await ledger.claim([{ targetId: 'bot', limit: 9 }], LEASE);
    rounds.push(deliveries.map(({ body }) => /[SM]\d/.exec(body.toString())?.[0] ?? ''));
    for (const { id, lease } of deliveries) await ledger.settle({ id, lease, status: 'delivered', attempt: null });
  }
  expect(rounds).toEqual([['S1', 'M1'], ['S2', 'M2'], ['S3']]);
});
