import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import { temporaryFolder } from '../support/files.js';
import { MINUTE, openFixture, refusal, SECOND, stage } from '../support/store.js';

it('a channel has a limited number of claims; room is made by those that have ended', async () => {
  const file = join(temporaryFolder(), 'gateway.db');
  const open = async () => await openFixture((effects) => openSqliteStore(file, effects, { claimsPerChannel: 2 }));
  const { store, clock } = await stage(open, []);
  const claim = async (messageId: string, channel = 'main') =>
    await store.claims.claim({ channel, messageId, owner: 'one', ttlSeconds: MINUTE / SECOND });
  await claim('A');
  await claim('B');
  await claim('B');
  await claim('C', 'other');
  await expect(claim('C')).rejects.toEqual(refusal('GW_TOO_MANY_CLAIMS'));
  await store.claims.release({ channel: 'main', messageId: 'A', owner: 'one' });
  await claim('C');
  await expect(claim('D')).rejects.toEqual(refusal('GW_TOO_MANY_CLAIMS'));
  clock.advance(MINUTE);
  expect(await claim('D')).toMatchObject({ isRenewal: false });
});
