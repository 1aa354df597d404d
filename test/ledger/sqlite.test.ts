import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openLedger } from '../../src/ledger/open.js';
import { temporaryFolder } from '../support/files.js';
import { LEASE, messages, openStore, register, stage, takeCall } from '../support/ledger.js';
import type { Store } from '../support/ledger.js';
import { watchPlans } from '../support/plans.js';
import { ledgerContract } from './contract/all.js';

async function openSqlite(): Promise<Store> {
  watchPlans();
  const file = join(temporaryFolder(), 'gateway.db');
  return await openStore((effects) => openLedger({ engine: 'sqlite', file }, effects));
}

ledgerContract(openSqlite);

describe('SQLite, where one process has the store for itself', () => {
  it('has the deliveries of a process that is no more due at once when the next one starts', async () => {
    const store = await stage(openSqlite);
    await store.record(messages('A'));
    const { id } = await store.claimOne();
    await store.restart();
    expect(await store.claimOne()).toMatchObject({ id });
  });

  it('has the calls of a process that is no more made again at once when the next one starts', async () => {
    const store = await stage(openSqlite);
    await register(store, ['A']);
    await takeCall(store, LEASE);
    await store.restart();
    expect(await takeCall(store)).toMatchObject({ kind: 'resync', messageId: 'A', made: 1 });
  });
});
