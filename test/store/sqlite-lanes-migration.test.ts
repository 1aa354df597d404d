import { hash } from 'node:crypto';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { openStore } from '../../src/store/open.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';
import { LEASE, messages, record, status } from '../support/store.js';
import { databaseOfVersion9 } from '../support/version9.js';

const NOW = Date.now();
/** The key that version 9 used for the single lane of a chat. */
const LANE = hash('sha256', 'chat main "alice"', 'buffer').subarray(0, 16);

/** A pending delivery, queued behind the earlier ones of its chat. */
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

it('I6: deliveries from the single lane of a chat keep their order by kind, ahead of deliveries after the upgrade', async () => {
  const file = join(temporaryFolder(), 'gateway.db');
  const db = databaseOfVersion9(file);
  addPending(db, 1, 'statuses.post', status('S1', 'alice'));
  addPending(db, 2, 'statuses.post', status('S2', 'alice'));
  addPending(db, 3, 'messages.post', messages('M1'));
  db.close();
  const store = await openStore({ engine: 'sqlite', file }, { ...systemEffects, now: () => NOW });
  onTestFinished(async () => await store.close());
  for (const body of [status('S3', 'alice'), messages('M2')]) await record(store, body);
  const rounds: string[][] = [];
  for (let round = 0; round < 3; round += 1) {
    const { deliveries } = await store.outbox.claim([{ targetId: 'bot', limit: 9 }], LEASE);
    rounds.push(deliveries.map(({ body }) => /[SM]\d/.exec(body.toString())?.[0] ?? ''));
    for (const { id, lease } of deliveries)
      await store.outbox.settle({ id, lease, status: 'delivered', attempt: null });
  }
  expect(rounds).toEqual([['S1', 'M1'], ['S2', 'M2'], ['S3']]);
});
