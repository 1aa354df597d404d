import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { Receivers } from '../../src/store/sqlite/receivers.js';
import { temporaryFolder } from '../support/files.js';
import { counted } from '../support/rows.js';

const BOT = 1;
/** Its deliveries have the ids that follow. */
const WEBHOOK = 0;

function openDb(): Db {
  const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
  onTestFinished(close);
  return db;
}

/** A delivery of the webhook: of one item, or of the whole webhook. */
function send(db: Db, id: number, position: number | null, target = BOT): void {
  db.prepare(
    `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries,
       verdicts, positions, created_at, log)
     VALUES (?, ?, ?, 'main', 'pending', ?, x'', 0, 0, 0, 0, 'new', ?, 0, '[]')`,
  ).run(id, WEBHOOK, target, id, position === null ? null : `[${position}]`);
}

describe('the receivers of an item', () => {
  it('are the targets that were sent the whole webhook, or a part that contains the item', () => {
    const db = openDb();
    send(db, 1, 3);
    send(db, 2, null, 2);
    const sent = new Receivers(db).of(WEBHOOK);
    expect([sent.has(BOT, 3), sent.has(BOT, 4), sent.has(2, 4), sent.has(3, 3)]).toEqual([true, false, true, false]);
  });

  it('are found with one read per delivery of a split webhook, however many items are queried', () => {
    const db = openDb();
    for (let id = 1; id <= 500; id += 1) send(db, id, id);
    const { rows, db: watched } = counted(db);
    const receivers = new Receivers(watched);
    for (let position = 1; position <= 500; position += 1) expect(receivers.of(WEBHOOK).has(BOT, position)).toBe(true);
    expect(rows()).toBeLessThan(500 + 2 * 500);
  });

  it('I4: exclude deliveries that were rolled back and include those created since', () => {
    const db = openDb();
    const receivers = new Receivers(db);
    send(db, 1, 1);
    db.exec('SAVEPOINT work');
    send(db, 2, 2);
    expect(receivers.of(WEBHOOK).has(BOT, 2)).toBe(true);
    db.exec('ROLLBACK TO work; RELEASE work');
    send(db, 3, 3);
    const sent = receivers.of(WEBHOOK);
    expect([1, 2, 3].map((position) => sent.has(BOT, position))).toEqual([true, false, true]);
  });
});
