import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../../src/ledger/ledger.js';
import {
  DAY,
  HOUR,
  idsIn,
  LEASE,
  message,
  messages,
  MINUTE,
  refusal,
  SECOND,
  settlement,
  stage,
  START,
  target,
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

/** Deliveries of different chats, so that none waits for another. */
async function recordEach(store: Store, ...ids: string[]): Promise<void> {
  for (const id of ids) await store.record(messages(message(id, `chat of ${id}`)));
}

/** Records one message, claims it and settles it as dead. */
async function bury(store: Store, id: string): Promise<Delivery> {
  await recordEach(store, id);
  const delivery = await store.claimOne();
  await store.settle(delivery, 'dead');
  return delivery;
}

/** Records one message, and one attempt to send it; gives its delivery's id. */
async function failOnce(store: Store, id: string, dueAt: number): Promise<string> {
  await recordEach(store, id);
  const delivery = await store.claimOne();
  await store.settle(delivery, 'pending', dueAt);
  return delivery.id;
}

/** I4, I5: from the claim to the settlement, and back. */
export function outboxContract(open: OpenStore): void {
  describe('a claim', () => {
    it('takes at most so many of each target, oldest due first, and tells when the next is due', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await recordEach(store, 'A');
      store.clock.advance(SECOND);
      await recordEach(store, 'B', 'C');
      const wanted = [
        { targetId: 'bot', limit: 2 },
        { targetId: 'archive', limit: 1 },
      ];
      const { deliveries, nextDueAt } = await store.ledger.claim(wanted, LEASE);
      const taken = (id: string): string[] => idsIn(deliveries.filter((delivery) => delivery.target.id === id));
      expect({ bot: taken('bot'), archive: taken('archive') }).toEqual({ bot: ['A', 'B'], archive: ['A'] });
      expect(nextDueAt).toBe(START + SECOND);
    });

    it('takes nothing of a target with the limit 0, of one that is not wanted and of one that there is not', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await recordEach(store, 'A');
      const nothing = { deliveries: [], nextDueAt: null };
      expect(await store.ledger.claim([], LEASE)).toEqual(nothing);
      expect(await store.ledger.claim([{ targetId: 'nobody', limit: 9 }], LEASE)).toEqual(nothing);
      expect(await store.ledger.claim([{ targetId: 'bot', limit: 0 }], LEASE)).toEqual({
        deliveries: [],
        nextDueAt: START,
      });
    });

    it('knows which gateways its webhook has come through, after a restart as well', async () => {
      const store = await stage(open);
      await store.record(messages('A'), { via: 'gtw_1;dlv_1' });
      await store.record(messages('B'));
      await store.restart();
      expect((await store.deliverAll()).map(({ via }) => via)).toEqual(['gtw_1;dlv_1', null]);
    });

    it('I5: is never given to two at one instant', async () => {
      const store = await stage(open);
      await recordEach(store, 'A', 'B', 'C', 'D', 'E');
      const claims = await Promise.all(Array.from({ length: 10 }, async () => await store.claim({ limit: 2 })));
      expect(claims.flatMap(({ deliveries }) => idsIn(deliveries)).sort()).toEqual(['A', 'B', 'C', 'D', 'E']);
    });

    it('I5: holds until its lease ends; then the same delivery is due again under the same id', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const first = await store.claimOne();
      store.clock.advance(LEASE - 1);
      expect(await store.claim()).toEqual({ deliveries: [], nextDueAt: START + LEASE });
      store.clock.advance(1);
      expect(await store.claimOne()).toMatchObject({ id: first.id, attempts: 0 });
    });

    it('I5: that was given to another cannot be settled any more by the first', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const first = await store.claimOne();
      store.clock.advance(LEASE);
      const second = await store.claimOne();
      expect(await store.settle(first, 'dead')).toBe(false);
      expect(await store.ledger.delivery(first.id)).toMatchObject({ status: 'pending', attempts: 0, log: [] });
      expect(await store.settle(second, 'delivered')).toBe(true);
    });

    it('I5: cannot be settled under a wrong lease or a wrong id, nor twice', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const { id, lease } = await store.claimOne();
      for (const wrong of [
        { id, lease: lease + 1 },
        { id: 'dlv_00000000000', lease },
        { id: 'nonsense', lease },
      ]) {
        expect(await store.settle(wrong, 'dead')).toBe(false);
      }
      expect(await store.settle({ id, lease }, 'delivered')).toBe(true);
      expect(await store.settle({ id, lease }, 'dead')).toBe(false);
      expect(await store.ledger.delivery(id)).toMatchObject({ status: 'delivered', attempts: 1 });
    });

    it('I4, I5: that a crash left behind is due again when its lease has run out, at the latest', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const before = await store.claimOne();
      await store.restart();
      store.clock.advance(LEASE);
      const after = await store.claimOne();
      expect({ id: after.id, body: after.body }).toEqual({ id: before.id, body: before.body });
    });
  });

  describe('a settlement', () => {
    it('that says "again" makes it due at that time, with one more attempt and the same id', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const first = await store.claimOne();
      await store.settle(first, 'pending', START + MINUTE);
      store.clock.advance(MINUTE - 1);
      expect(await store.claim()).toEqual({ deliveries: [], nextDueAt: START + MINUTE });
      store.clock.advance(1);
      expect(await store.claimOne()).toMatchObject({ id: first.id, attempts: 1 });
    });

    it('without an attempt gives it back as it was', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const { id, lease } = await store.claimOne();
      await store.ledger.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      expect(await store.claimOne()).toMatchObject({ id, attempts: 0 });
      expect(await store.ledger.delivery(id)).toMatchObject({ log: [], lastError: null });
    });

    it('without an attempt keeps the error that was shown before', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      await store.settle(await store.claimOne(), 'pending', START);
      const { id, lease } = await store.claimOne();
      await store.ledger.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      expect(await store.ledger.delivery(id)).toMatchObject({ lastError: 'The target answered 500.' });
    });

    it('keeps the streak of failures for the next claim, until another settlement says otherwise', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const streak = { cause: 'unknown_host', since: START, attempts: 2 } as const;
      const first = await store.claimOne();
      expect(first.streak).toBeNull();
      await store.ledger.settle({ ...settlement(first, 'pending', START), streak });
      const { id, lease } = await store.claimOne();
      await store.ledger.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      await store.restart();
      const third = await store.claimOne();
      expect(third.streak).toEqual(streak);
      await store.ledger.settle({ ...settlement(third, 'pending', START), streak: null });
      expect((await store.claimOne()).streak).toBeNull();
    });

    it('that ends it ends its streak: sent again by a person, it begins anew', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const streak = { cause: 'no_handler', since: START, attempts: 3 } as const;
      await store.ledger.settle({ ...settlement(await store.claimOne(), 'pending', START), streak });
      const claimed = await store.claimOne();
      await store.ledger.settle({ ...settlement(claimed, 'dead'), cause: 'no_handler' });
      await store.ledger.retry(claimed.id);
      expect(await store.claimOne()).toMatchObject({ id: claimed.id, streak: null });
    });

    it('shows its reason before the error of its attempt', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const claimed = await store.claimOne();
      await store.ledger.settle({ ...settlement(claimed, 'expired'), reason: 'It was too old.' });
      expect(await store.ledger.delivery(claimed.id)).toMatchObject({ lastError: 'It was too old.' });
    });

    it.each([
      ['delivered', null],
      ['dead', 'The target answered 500.'],
      ['expired', 'The target answered 500.'],
    ] as const)('I4: as %s ends it, for all to see', async (outcome, lastError) => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const delivery = await store.claimOne();
      store.clock.advance(SECOND);
      const settled = settlement(delivery, outcome);
      await store.ledger.settle(settled);
      expect(await store.claim()).toEqual({ deliveries: [], nextDueAt: null });
      const log = [settled.attempt];
      const view = { status: outcome, lastError, log, settledAt: START + SECOND, nextAttemptAt: null };
      expect(await store.ledger.delivery(delivery.id)).toMatchObject({ ...view, attempts: 1, createdAt: START });
    });

    it('keeps the answers of the newest three attempts, and of fifty that they were made', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      for (let made = 0; made < 60; made++) {
        const { id, lease } = await store.claimOne();
        const attempt = {
          startedAt: START + made,
          durationMs: 1,
          status: 500,
          error: 'no',
          response: `answer ${made}`,
        };
        await store.ledger.settle({ id, lease, status: 'pending', dueAt: START, attempt });
      }
      const { id } = await store.claimOne();
      const { attempts, log } = (await store.ledger.delivery(id)) ?? { attempts: 0, log: [] };
      expect({ attempts, kept: log.length, first: log[0]?.startedAt }).toEqual({
        attempts: 60,
        kept: 50,
        first: START + 10,
      });
      expect(log.flatMap(({ response }) => response ?? [])).toEqual(['answer 57', 'answer 58', 'answer 59']);
    });
  });

  describe('a retry by a person', () => {
    it('makes a settled delivery due at once, with all its attempts before it and its log kept', async () => {
      const store = await stage(open);
      const { id } = await bury(store, 'A');
      store.clock.advance(DAY);
      expect(await store.ledger.retry(id)).toMatchObject({ id, status: 'pending', nextAttemptAt: START + DAY });
      const again = await store.claimOne();
      expect(again).toMatchObject({ id, attempts: 0 });
      await store.settle(again, 'delivered');
      expect(await store.ledger.delivery(id)).toMatchObject({ status: 'delivered', attempts: 2, lastError: null });
    });

    it('of an expired one is sent however old its message is', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const { id, newestMessageAt } = await store.claimOne();
      expect(newestMessageAt).toBe(START / SECOND);
      await store.restart();
      store.clock.advance(LEASE);
      await store.settle(await store.claimOne(), 'expired');
      await store.ledger.retry(id);
      expect(await store.claimOne()).toMatchObject({ id, newestMessageAt: null });
    });

    it('is refused for what there is not and for a target that was removed', async () => {
      const store = await stage(open);
      const { id } = await bury(store, 'A');
      await expect(store.ledger.retry('dlv_00000000000')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await store.ledger.removeTarget('bot');
      await expect(store.ledger.retry(id)).rejects.toEqual(refusal('GW_CONFLICT'));
    });
  });

  describe('a retry by a person of what is pending', () => {
    it('makes one attempt at once, after which the schedule goes on as it was', async () => {
      const store = await stage(open);
      const id = await failOnce(store, 'A', START + HOUR);
      expect(await store.ledger.retry(id)).toMatchObject({ status: 'pending', nextAttemptAt: START });
      const byHand = await store.claimOne();
      expect(byHand).toMatchObject({ id, attempts: 1, besideSchedule: true });
      await store.settle(byHand, 'pending', START + MINUTE);
      expect(await store.claim()).toEqual({ deliveries: [], nextDueAt: START + HOUR });
      store.clock.advance(HOUR);
      expect(await store.claimOne()).toMatchObject({ id, attempts: 1, besideSchedule: false });
      expect(await store.ledger.delivery(id)).toMatchObject({ attempts: 2 });
    });

    it('asked for any number of times before it is made is one attempt', async () => {
      const store = await stage(open);
      const id = await failOnce(store, 'A', START + HOUR);
      for (let i = 0; i < 3; i += 1) await store.ledger.retry(id);
      await store.settle(await store.claimOne(), 'pending', START + MINUTE);
      expect(await store.claim()).toEqual({ deliveries: [], nextDueAt: START + HOUR });
    });

    it('that ends after the schedule wanted the next attempt leaves that to be made', async () => {
      const store = await stage(open);
      const id = await failOnce(store, 'A', START + SECOND);
      await store.ledger.retry(id);
      const byHand = await store.claimOne();
      store.clock.advance(MINUTE);
      await store.settle(byHand, 'pending', START + HOUR);
      expect((await store.claim()).nextDueAt).toBe(START + HOUR);
    });

    it('I5: leaves an attempt that is under way its lease, and gives one more right after it', async () => {
      const store = await stage(open);
      await recordEach(store, 'A');
      const underWay = await store.claimOne();
      await store.ledger.retry(underWay.id);
      expect((await store.claim()).deliveries).toEqual([]);
      await store.settle(underWay, 'pending', START + HOUR);
      const byHand = await store.claimOne();
      expect(byHand).toMatchObject({ attempts: 1, besideSchedule: true });
      await store.settle(byHand, 'pending', START + MINUTE);
      expect(await store.claim()).toEqual({ deliveries: [], nextDueAt: START + HOUR });
    });

    it.each(['delivered', 'dead'] as const)(
      'has nothing more sent where the attempt under way ends it as %s',
      async (end) => {
        const store = await stage(open);
        await recordEach(store, 'A');
        const underWay = await store.claimOne();
        await store.ledger.retry(underWay.id);
        await store.settle(underWay, end);
        expect(await store.claim()).toEqual({ deliveries: [], nextDueAt: null });
      },
    );

    it('is still to be made after a restart, and after it was given back unmade', async () => {
      const store = await stage(open);
      const id = await failOnce(store, 'A', START + HOUR);
      await store.ledger.retry(id);
      const { lease } = await store.claimOne();
      await store.ledger.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      await store.restart();
      expect(await store.claimOne()).toMatchObject({ id, attempts: 1, besideSchedule: true });
    });
  });

  describe('removing a target', () => {
    it('I4: ends its pending deliveries as dead, the claimed ones too, and leaves the others', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await recordEach(store, 'A');
      await store.record(messages(message('B', 'chat of A')));
      const claimed = (await store.claim()).deliveries.find((delivery) => delivery.target.id === 'bot');
      await store.ledger.removeTarget('bot');
      expect(claimed && (await store.settle(claimed, 'delivered'))).toBe(false);
      const { data } = await store.ledger.deliveries({ target: 'bot' }, { limit: 9, cursor: null });
      expect(data.map((view) => [view.status, view.settledAt])).toEqual([
        ['dead', START],
        ['dead', START],
      ]);
      store.clock.advance(LEASE);
      expect(idsIn(await store.deliverAll())).toEqual(['A', 'B']);
    });
  });
}
