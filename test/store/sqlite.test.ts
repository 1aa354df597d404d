import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/open.js';
import { temporaryFolder } from '../support/files.js';
import { DAY, HOUR, LEASE, messages, openFixture, register, stage, takeCall } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';
import { watchPlans } from '../support/plans.js';
import { storeContract } from './contract/all.js';

async function openSqlite(): Promise<StoreFixture> {
  watchPlans();
  const file = join(temporaryFolder(), 'gateway.db');
  return await openFixture((effects) => openStore({ engine: 'sqlite', file }, effects));
}

storeContract({
  open: openSqlite,
  openTwo: async () => {
    const fixture = await openSqlite();
    return [fixture, fixture];
  },
});

describe('SQLite, used by one process at a time', () => {
  it('makes the deliveries of a process that has ended due at once at the next start', async () => {
    const fixture = await stage(openSqlite);
    await fixture.record(messages('A'));
    const { id } = await fixture.claimOne();
    await fixture.restart();
    expect(await fixture.claimOne()).toMatchObject({ id });
  });

  it('I6: places what comes after a restart behind a retried delivery, even if the clock was set back', async () => {
    const fixture = await stage(openSqlite);
    fixture.clock.advance(-DAY);
    await fixture.record(messages('A'));
    const { id, lease } = await fixture.claimOne();
    await fixture.settle({ id, lease }, 'dead');
    fixture.clock.advance(DAY);
    await fixture.store.outbox.retry(id);
    fixture.clock.advance(-HOUR);
    await fixture.restart();
    await fixture.record(messages('B'));
    const explained = await fixture.store.items.explain('main', 'B');
    expect(explained?.deliveries.map(({ ahead }) => ahead?.id)).toEqual([id]);
  });

  it('makes the calls of a process that has ended due again at once at the next start', async () => {
    const fixture = await stage(openSqlite);
    await register(fixture, ['A']);
    await takeCall(fixture, LEASE);
    await fixture.restart();
    expect(await takeCall(fixture)).toMatchObject({ kind: 'resync', messageId: 'A', made: 1 });
  });
});
