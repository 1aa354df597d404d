import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openStore } from '../../src/store/open.js';
import { RegistryTables } from '../../src/store/sqlite/registry-tables.js';
import { Transaction } from '../../src/store/sqlite/transaction.js';
import { temporaryFolder } from '../support/files.js';
import { messages, openFixture, record, refusal, stage } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';

async function openSqlite(): Promise<StoreFixture> {
  const file = join(temporaryFolder(), 'gateway.db');
  return await stage(async () => await openFixture((effects) => openStore({ engine: 'sqlite', file }, effects)));
}

it('a webhook from another Whapi channel rolls nothing back and keeps the cached channels and targets', async () => {
  const { store } = await openSqlite();
  await record(store, { ...messages('A'), channel_id: 'ONE' });
  const rolledBack = vi.spyOn(Transaction.prototype, 'rollback');
  const cleared = vi.spyOn(RegistryTables.prototype, 'clearCache');
  onTestFinished(() => void vi.restoreAllMocks());
  const other = { ...messages('B'), channel_id: 'TWO' };
  const answers = await Promise.allSettled([
    record(store, messages('C')),
    record(store, other),
    record(store, messages('D')),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect([rolledBack.mock.calls, cleared.mock.calls]).toEqual([[], []]);
});

it('of two webhooks that name two Whapi channels at the same instant, the second is refused inside the commit', async () => {
  const { store } = await openSqlite();
  const answers = await Promise.allSettled([
    record(store, { ...messages('A'), channel_id: 'ONE' }),
    record(store, { ...messages('B'), channel_id: 'TWO' }),
    record(store, messages('C')),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(answers[1]).toMatchObject({ reason: refusal('GW_CHANNEL_MISMATCH') });
  expect((await store.registry.channel('main'))?.channelId).toBe('ONE');
});
