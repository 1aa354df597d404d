import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { openStore } from '../../src/store/open.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';
import { HOUR } from '../support/store.js';
import { databaseOfVersion9 } from '../support/version9.js';

const NOW = Date.now();

function addDelivery(db: Db, id: number, status: string, settledAt: number | null): void {
  db.prepare(
    `INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body)
     VALUES (?, 'main', ?, 'POST', '', 'messages.post', x'7b7d')`,
  ).run(id, NOW - HOUR + id);
  db.prepare(
    `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries,
       verdicts, created_at, settled_at, log) VALUES (?, ?, 1, 'main', ?, ?, x'', 0, 0, 1, 1, 'new', ?, ?, '[]')`,
  ).run(id, id, status, id, NOW - HOUR + id, settledAt);
}

it('a migrated database of version 9 knows its pending and dead deliveries and the time of the last webhook', async () => {
  const file = join(temporaryFolder(), 'gateway.db');
  const db = databaseOfVersion9(file);
  addDelivery(db, 1, 'dead', NOW - HOUR);
  addDelivery(db, 2, 'dead', NOW - 72 * HOUR);
  addDelivery(db, 3, 'delivered', NOW);
  for (const id of [4, 5]) addDelivery(db, id, 'pending', null);
  db.close();
  const store = await openStore({ engine: 'sqlite', file }, { ...systemEffects, now: () => NOW });
  onTestFinished(async () => await store.close());
  expect(await store.outbox.loadOf('bot')).toMatchObject({
    pending: 2,
    oldestPendingAt: NOW - HOUR + 4,
    deadLastDay: 1,
  });
  expect(await store.traffic.lastWebhookAt('main', 0)).toBe(NOW - HOUR + 5);
});
