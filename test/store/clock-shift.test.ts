import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { openStore } from '../../src/store/open.js';
import { retainForever } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';
import { message, messages, openFixture, record, refusal, stage, START, target } from '../support/store.js';

const HOUR_MS = 3_600_000;
/** Some slices. */
const DELIVERIES = 1200;

it('shifts each delivery once, also if a write lock of another process ends the shift in the middle', async () => {
  const file = join(temporaryFolder(), 'gateway.db');
  const fixture = await stage(
    async () => await openFixture((effects) => openStore({ engine: 'sqlite', file }, effects)),
    [target('bot', { split: 'item' })],
  );
  const items = Array.from({ length: DELIVERIES }, (_, index) => message(`M${index}`, `chat-${index}`));
  await record(fixture.store, messages(...items));
  const other = retainForever(new Database(file));
  onTestFinished(() => void other.close());
  const dueAt = START + 3 * HOUR_MS;
  other.prepare('UPDATE deliveries SET due_at = ?').run(dueAt);
  const shifted = (): unknown => other.prepare('SELECT count(*) FROM deliveries WHERE due_at < ?').pluck().get(dueAt);

  const failing = expect(fixture.store.upkeep.clockSetBack(HOUR_MS)).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
  while (shifted() === 0) await new Promise((resolve) => setImmediate(resolve));
  other.exec('BEGIN IMMEDIATE');
  expect(shifted()).toBeLessThan(DELIVERIES);
  await failing;
  other.exec('ROLLBACK');

  // The watch calls again, after the clock was set back a second time.
  await fixture.store.upkeep.clockSetBack(HOUR_MS + 60_000);
  expect(other.prepare('SELECT due_at, count(*) AS count FROM deliveries GROUP BY due_at').all()).toEqual([
    { due_at: dueAt - HOUR_MS - 60_000, count: DELIVERIES },
  ]);
});
