import { describe, expect, it } from 'vitest';
import { DAY, HOUR, messages, refusal, SECOND, stage } from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const ONE_HOUR = HOUR / SECOND;

/** Claims message `A`. */
const claim = async ({ store }: StoreFixture, owner: string, ttlSeconds = ONE_HOUR, channel = 'main') =>
  await store.claims.claim({ channel, messageId: 'A', owner, ttlSeconds });

const release = async ({ store }: StoreFixture, owner: string) =>
  await store.claims.release({ channel: 'main', messageId: 'A', owner });

/** The contract of `MessageClaims`. */
export function claimsContract(open: OpenFixture): void {
  describe('claims', () => {
    it('of two owners at the same instant, the first has the message', async () => {
      const fixture = await stage(open, []);
      const both = await Promise.allSettled([claim(fixture, 'one'), claim(fixture, 'two')]);
      expect(both).toMatchObject([
        { status: 'fulfilled', value: { owner: 'one', isRenewal: false } },
        { status: 'rejected', reason: { code: 'GW_CLAIMED', holder: { owner: 'one' } } },
      ]);
    });

    it('of the same owner start their time anew, also after a restart', async () => {
      const fixture = await stage(open, []);
      const { claimedAt } = await claim(fixture, 'one');
      fixture.clock.advance(HOUR - 1);
      await fixture.restart();
      expect(await claim(fixture, 'one')).toEqual({
        ...{ owner: 'one', claimedAt, expiresAt: claimedAt + 2 * HOUR - 1, isRenewal: true },
      });
      fixture.clock.advance(HOUR - 1);
      await expect(claim(fixture, 'two')).rejects.toEqual(refusal('GW_CLAIMED'));
    });

    it('end with their time, and anyone can claim the message again', async () => {
      const fixture = await stage(open, []);
      const { expiresAt } = await claim(fixture, 'one');
      fixture.clock.advance(HOUR);
      expect(await release(fixture, 'one')).toBe(false);
      expect(await claim(fixture, 'two')).toMatchObject({ claimedAt: expiresAt, isRenewal: false });
    });

    it('are given back by their owner only', async () => {
      const fixture = await stage(open, []);
      await claim(fixture, 'one');
      await expect(release(fixture, 'two')).rejects.toEqual(refusal('GW_CLAIMED'));
      expect(await release(fixture, 'one')).toBe(true);
      expect(await release(fixture, 'one')).toBe(false);
      expect(await claim(fixture, 'two')).toMatchObject({ isRenewal: false });
    });

    it('of a message id in another channel do not matter', async () => {
      const fixture = await stage(open, []);
      await claim(fixture, 'one');
      expect(await claim(fixture, 'two', ONE_HOUR, 'other')).toMatchObject({ owner: 'two' });
    });

    it('are explained with the message, until they are pruned', async () => {
      const fixture = await stage(open, []);
      await fixture.record(messages('A'));
      const { claimedAt } = await claim(fixture, 'one');
      const explained = async () => await fixture.store.items.explain('main', 'A');
      expect(await explained()).toMatchObject({ claim: { owner: 'one', claimedAt, expiresAt: claimedAt + HOUR } });
      fixture.clock.advance(2 * HOUR);
      await pruneAll(fixture);
      expect(await explained()).toMatchObject({ claim: null });
    });

    it('are pruned when they have ended, in steps, and no sooner', async () => {
      const fixture = await stage(open, []);
      const ids = Array.from({ length: 1200 }, (_, index) => `id ${index}`);
      const add = async (messageId: string, owner: string) =>
        await fixture.store.claims.claim({ channel: 'main', messageId, owner, ttlSeconds: ONE_HOUR });
      await Promise.all(ids.map(async (id) => await add(id, 'one')));
      fixture.clock.advance(HOUR - 1);
      await pruneAll(fixture);
      await expect(add('id 0', 'two')).rejects.toEqual(refusal('GW_CLAIMED'));
      fixture.clock.advance(1);
      expect(await pruneAll(fixture)).toBeGreaterThan(3);
      expect(await fixture.store.items.explain('main', 'id 1199')).toBeNull();
    });
  });
}

/** Returns the number of steps. */
async function pruneAll({ store, clock }: StoreFixture): Promise<number> {
  let steps = 1;
  while (await store.upkeep.prune({ payloadMs: 14 * DAY, ledgerMs: 400 * DAY }, clock.now())) steps += 1;
  return steps;
}
