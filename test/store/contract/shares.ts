import { describe, expect, it } from 'vitest';
import { idsIn, LEASE, message, messages, MINUTE, SECOND, stage, START } from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { ClaimWant } from '../../../src/store/outbox.js';

/** A store with the given number of first attempts (`F1` …) and of retries (`R1` …), due before them, for `bot`. */
async function backlog(open: OpenFixture, first: number, retries: number): Promise<StoreFixture> {
  const fixture = await stage(open);
  await recordEach(fixture, 'R', retries);
  for (const delivery of (await fixture.claim()).deliveries) await fixture.settle(delivery, 'pending', START);
  await recordEach(fixture, 'F', first);
  return fixture;
}

/** Each is in its own chat, so that none waits for another. */
async function recordEach(fixture: StoreFixture, name: string, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    await fixture.record(messages(message(`${name}${number}`, `chat of ${name}${number}`)));
  }
}

async function claimIds(fixture: StoreFixture, want: Omit<ClaimWant, 'targetId'>): Promise<string[]> {
  return idsIn((await fixture.store.outbox.claim([{ targetId: 'bot', ...want }], LEASE)).deliveries);
}

/** How first attempts and retries share a claim. */
export function sharesContract(open: OpenFixture): void {
  describe('first attempts and retries', () => {
    it('share a claim: retries get their reserved places, first attempts the rest', async () => {
      const fixture = await backlog(open, 9, 9);
      expect(await claimIds(fixture, { limit: 4, retries: { kept: 1, most: 2 } })).toEqual(['R1', 'F1', 'F2', 'F3']);
    });

    it('use the places that the other kind leaves free, retries up to their maximum', async () => {
      const few = await backlog(open, 1, 9);
      expect(await claimIds(few, { limit: 8, retries: { kept: 1, most: 3 } })).toEqual(['R1', 'F1', 'R2', 'R3']);
      const none = await backlog(open, 9, 0);
      expect(await claimIds(none, { limit: 3, retries: { kept: 1, most: 2 } })).toEqual(['F1', 'F2', 'F3']);
    });

    it('do not starve each other, at any age and size of the backlogs', async () => {
      const fixture = await backlog(open, 40, 40);
      expect(await claimIds(fixture, { limit: 1, retries: { kept: 0, most: 1 } })).toEqual(['F1']);
      expect(await claimIds(fixture, { limit: 1, retries: { kept: 1, most: 1 } })).toEqual(['R1']);
    });

    it('are both taken oldest due first', async () => {
      const fixture = await backlog(open, 0, 2);
      fixture.clock.advance(-SECOND);
      await recordEach(fixture, 'F', 2);
      fixture.clock.advance(MINUTE);
      expect(await claimIds(fixture, { limit: 9, retries: { kept: 9, most: 9 } })).toEqual(['R1', 'R2', 'F1', 'F2']);
    });

    it('report no due time for a retry beyond the maximum, so that the caller does not poll in a loop', async () => {
      const fixture = await backlog(open, 0, 2);
      const full = { targetId: 'bot', limit: 2, retries: { kept: 0, most: 1 } };
      const { deliveries, nextDueAt } = await fixture.store.outbox.claim([full], LEASE);
      expect({ ids: idsIn(deliveries), nextDueAt }).toEqual({ ids: ['R1'], nextDueAt: null });
    });

    it('count a manual retry as a first attempt', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'R', 1);
      const claimed = await fixture.claimOne();
      await fixture.settle(claimed, 'pending', START);
      await fixture.settle(await fixture.claimOne(), 'dead');
      await fixture.store.outbox.retry(claimed.id);
      expect(await claimIds(fixture, { limit: 1, retries: { kept: 0, most: 0 } })).toEqual(['R1']);
    });
  });

  describe('the bytes of a claim', () => {
    it('end it with the delivery that reaches the limit, and it takes at least one', async () => {
      const fixture = await backlog(open, 4, 0);
      const { length } = Buffer.from(JSON.stringify(messages(message('F1', 'chat of F1'))));
      expect(await claimIds(fixture, { limit: 9, bytes: 1 })).toEqual(['F1']);
      expect(await claimIds(fixture, { limit: 9, bytes: length + 1 })).toEqual(['F2', 'F3']);
      expect(await claimIds(fixture, { limit: 9, bytes: 0 })).toEqual([]);
      expect(await claimIds(fixture, { limit: 9 })).toEqual(['F4']);
    });

    it('are those of the body that the target gets, not of the whole webhook', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(message('A')));
      await fixture.deliverAll();
      const long = message('A', 'alice', { text: { body: 'x'.repeat(5000) } });
      await fixture.record(messages(long, message('B', 'bob'))); // A is a duplicate, so only B is sent.
      await fixture.record(messages(message('D', 'dora')));
      expect(await claimIds(fixture, { limit: 9, bytes: 1000 })).toEqual(['B', 'D']);
    });
  });
}
