import { describe, expect, it } from 'vitest';
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
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { Delivery } from '../../../src/store/outbox.js';

/** Deliveries of different chats, so that none waits for another. */
async function recordEach(fixture: StoreFixture, ...ids: string[]): Promise<void> {
  for (const id of ids) await fixture.record(messages(message(id, `chat of ${id}`)));
}

/** Records one message, claims it and settles it as dead. */
async function bury(fixture: StoreFixture, id: string): Promise<Delivery> {
  await recordEach(fixture, id);
  const delivery = await fixture.claimOne();
  await fixture.settle(delivery, 'dead');
  return delivery;
}

/** Records one message and one failed attempt to send it. Returns the id of its delivery. */
async function failOnce(fixture: StoreFixture, id: string, dueAt: number): Promise<string> {
  await recordEach(fixture, id);
  const delivery = await fixture.claimOne();
  await fixture.settle(delivery, 'pending', dueAt);
  return delivery.id;
}

/** I4, I5: from the claim to the settlement. */
export function outboxContract(open: OpenFixture): void {
  describe('the targets with something due', () => {
    const due = async ({ store }: StoreFixture): Promise<unknown> => {
      const { targetIds, nextDueAt } = await store.outbox.due();
      return { targets: [...targetIds].sort(), nextDueAt };
    };

    it('are those with a delivery that is due, and the others tell when their first one is', async () => {
      const fixture = await stage(open, [target('bot'), target('archive'), target('idle', { events: ['calls'] })]);
      expect(await due(fixture)).toEqual({ targets: [], nextDueAt: null });
      await recordEach(fixture, 'A');
      expect(await due(fixture)).toEqual({ targets: ['archive', 'bot'], nextDueAt: null });
      const { deliveries } = await fixture.store.outbox.claim([{ targetId: 'bot', limit: 1 }], LEASE);
      expect(await due(fixture)).toEqual({ targets: ['archive'], nextDueAt: START + LEASE });
      for (const delivery of deliveries) await fixture.settle(delivery, 'pending', START + MINUTE);
      expect(await due(fixture)).toEqual({ targets: ['archive'], nextDueAt: START + MINUTE });
      fixture.clock.advance(MINUTE);
      expect(await due(fixture)).toEqual({ targets: ['archive', 'bot'], nextDueAt: null });
    });

    it('include one whose lease has run out, one that is retried manually, and each after a restart', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const { id } = await fixture.claimOne();
      fixture.clock.advance(LEASE);
      expect(await due(fixture)).toMatchObject({ targets: ['bot'] });
      await fixture.settle(await fixture.claimOne(), 'pending', START + DAY);
      expect(await due(fixture)).toEqual({ targets: [], nextDueAt: START + DAY });
      await fixture.store.outbox.retry(id);
      expect(await due(fixture)).toMatchObject({ targets: ['bot'] });
      await fixture.restart();
      expect(await due(fixture)).toMatchObject({ targets: ['bot'] });
    });

    it('include one whose delivery has come to the front of its chat (I6)', async () => {
      const fixture = await stage(open);
      for (const id of ['A', 'B']) await fixture.record(messages(message(id, 'alice')));
      const first = await fixture.claimOne();
      expect(await due(fixture)).toEqual({ targets: [], nextDueAt: START + LEASE });
      await fixture.settle(first, 'delivered');
      expect(await due(fixture)).toEqual({ targets: ['bot'], nextDueAt: null });
    });

    it('leave out a removed target', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      await fixture.store.registry.removeTarget('bot');
      expect(await due(fixture)).toEqual({ targets: [], nextDueAt: null });
    });
  });

  describe('a claim', () => {
    it('takes up to the limit of each target, oldest due first, and returns when the next delivery is due', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await recordEach(fixture, 'A');
      fixture.clock.advance(SECOND);
      await recordEach(fixture, 'B', 'C');
      const wanted = [
        { targetId: 'bot', limit: 2 },
        { targetId: 'archive', limit: 1 },
      ];
      const { deliveries, nextDueAt } = await fixture.store.outbox.claim(wanted, LEASE);
      const taken = (id: string): string[] => idsIn(deliveries.filter((delivery) => delivery.target.id === id));
      expect({ bot: taken('bot'), archive: taken('archive') }).toEqual({ bot: ['A', 'B'], archive: ['A'] });
      expect(nextDueAt).toBe(START + SECOND);
    });

    it('takes nothing from a target that has the limit 0, is not requested or does not exist', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await recordEach(fixture, 'A');
      const nothing = { deliveries: [], nextDueAt: null };
      expect(await fixture.store.outbox.claim([], LEASE)).toEqual(nothing);
      expect(await fixture.store.outbox.claim([{ targetId: 'nobody', limit: 9 }], LEASE)).toEqual(nothing);
      expect(await fixture.store.outbox.claim([{ targetId: 'bot', limit: 0 }], LEASE)).toEqual({
        deliveries: [],
        nextDueAt: START,
      });
    });

    it('carries the gateways that its webhook has passed through, also after a restart', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'), { via: 'gtw_1;dlv_1' });
      await fixture.record(messages('B'));
      await fixture.restart();
      expect((await fixture.deliverAll()).map(({ via }) => via)).toEqual(['gtw_1;dlv_1', null]);
    });

    it('I5: never gives a delivery to two callers at the same instant', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A', 'B', 'C', 'D', 'E');
      const claims = await Promise.all(Array.from({ length: 10 }, async () => await fixture.claim({ limit: 2 })));
      expect(claims.flatMap(({ deliveries }) => idsIn(deliveries)).sort()).toEqual(['A', 'B', 'C', 'D', 'E']);
    });

    it('I5: holds until its lease ends, then the delivery is due again under the same id', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const first = await fixture.claimOne();
      fixture.clock.advance(LEASE - 1);
      expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: START + LEASE });
      fixture.clock.advance(1);
      expect(await fixture.claimOne()).toMatchObject({ id: first.id, attempts: 0 });
    });

    it('I5: cannot be settled by its first holder once it has a new holder', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const first = await fixture.claimOne();
      fixture.clock.advance(LEASE);
      const second = await fixture.claimOne();
      expect(await fixture.settle(first, 'dead')).toBe(false);
      expect(await fixture.store.outbox.delivery(first.id)).toMatchObject({ status: 'pending', attempts: 0, log: [] });
      expect(await fixture.settle(second, 'delivered')).toBe(true);
    });

    it('I5: cannot be settled with a wrong lease or id, nor twice', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const { id, lease } = await fixture.claimOne();
      for (const wrong of [
        { id, lease: lease + 1 },
        { id: 'dlv_00000000000', lease },
        { id: 'nonsense', lease },
      ]) {
        expect(await fixture.settle(wrong, 'dead')).toBe(false);
      }
      expect(await fixture.settle({ id, lease }, 'delivered')).toBe(true);
      expect(await fixture.settle({ id, lease }, 'dead')).toBe(false);
      expect(await fixture.store.outbox.delivery(id)).toMatchObject({ status: 'delivered', attempts: 1 });
    });

    it('I4, I5: becomes due again after a crash, once its lease ends at the latest', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const before = await fixture.claimOne();
      await fixture.restart();
      fixture.clock.advance(LEASE);
      const after = await fixture.claimOne();
      expect({ id: after.id, body: after.body }).toEqual({ id: before.id, body: before.body });
    });
  });

  describe('a settlement', () => {
    it('as pending makes the delivery due at the given time, with one more attempt and the same id', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const first = await fixture.claimOne();
      await fixture.settle(first, 'pending', START + MINUTE);
      fixture.clock.advance(MINUTE - 1);
      expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: START + MINUTE });
      fixture.clock.advance(1);
      expect(await fixture.claimOne()).toMatchObject({ id: first.id, attempts: 1 });
    });

    it('without an attempt returns the delivery unchanged', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const { id, lease } = await fixture.claimOne();
      await fixture.store.outbox.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      expect(await fixture.claimOne()).toMatchObject({ id, attempts: 0 });
      expect(await fixture.store.outbox.delivery(id)).toMatchObject({ log: [], lastError: null });
    });

    it('without an attempt and a time keeps its place: it is due before what was recorded later', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const first = await fixture.claimOne();
      fixture.clock.advance(SECOND);
      await recordEach(fixture, 'B');
      fixture.clock.advance(SECOND);
      const { id, lease } = first;
      expect(await fixture.store.outbox.settle({ id, lease, status: 'pending', attempt: null })).toBe(true);
      expect(idsIn((await fixture.claim()).deliveries)).toEqual(['A', 'B']);
    });

    it('without an attempt keeps the last error', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      await fixture.settle(await fixture.claimOne(), 'pending', START);
      const { id, lease } = await fixture.claimOne();
      await fixture.store.outbox.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      expect(await fixture.store.outbox.delivery(id)).toMatchObject({ lastError: 'The target answered 500.' });
    });

    it('keeps the run of failures for the next claim, until another settlement changes it', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const streak = { cause: 'unknown_host', since: START, attempts: 2 } as const;
      const first = await fixture.claimOne();
      expect(first.streak).toBeNull();
      await fixture.store.outbox.settle({ ...settlement(first, 'pending', START), streak });
      const { id, lease } = await fixture.claimOne();
      await fixture.store.outbox.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      await fixture.restart();
      const third = await fixture.claimOne();
      expect(third.streak).toEqual(streak);
      await fixture.store.outbox.settle({ ...settlement(third, 'pending', START), streak: null });
      expect((await fixture.claimOne()).streak).toBeNull();
    });

    it('that is final ends the run of failures, so that a manual retry starts a new one', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const streak = { cause: 'no_handler', since: START, attempts: 3 } as const;
      await fixture.store.outbox.settle({ ...settlement(await fixture.claimOne(), 'pending', START), streak });
      const claimed = await fixture.claimOne();
      await fixture.store.outbox.settle({ ...settlement(claimed, 'dead'), cause: 'no_handler' });
      await fixture.store.outbox.retry(claimed.id);
      expect(await fixture.claimOne()).toMatchObject({ id: claimed.id, streak: null });
    });

    it('shows its reason before the error of its attempt', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const claimed = await fixture.claimOne();
      await fixture.store.outbox.settle({ ...settlement(claimed, 'expired'), reason: 'It was too old.' });
      expect(await fixture.store.outbox.delivery(claimed.id)).toMatchObject({ lastError: 'It was too old.' });
    });

    it.each([
      ['delivered', null],
      ['dead', 'The target answered 500.'],
      ['expired', 'The target answered 500.'],
    ] as const)('I4: as %s ends the delivery and stays visible', async (outcome, lastError) => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const delivery = await fixture.claimOne();
      fixture.clock.advance(SECOND);
      const settled = settlement(delivery, outcome);
      await fixture.store.outbox.settle(settled);
      expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: null });
      const log = [settled.attempt];
      const view = { status: outcome, lastError, log, settledAt: START + SECOND, nextAttemptAt: null };
      expect(await fixture.store.outbox.delivery(delivery.id)).toMatchObject({
        ...view,
        attempts: 1,
        createdAt: START,
      });
    });

    it('keeps the answers of the last three attempts and the records of the last fifty', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      for (let made = 0; made < 60; made++) {
        const { id, lease } = await fixture.claimOne();
        const attempt = {
          startedAt: START + made,
          durationMs: 1,
          status: 500,
          error: 'no',
          response: `answer ${made}`,
        };
        await fixture.store.outbox.settle({ id, lease, status: 'pending', dueAt: START, attempt });
      }
      const { id } = await fixture.claimOne();
      const { attempts, log } = (await fixture.store.outbox.delivery(id)) ?? { attempts: 0, log: [] };
      expect({ attempts, kept: log.length, first: log[0]?.startedAt }).toEqual({
        attempts: 60,
        kept: 50,
        first: START + 10,
      });
      expect(log.flatMap(({ response }) => response ?? [])).toEqual(['answer 57', 'answer 58', 'answer 59']);
    });
  });

  describe('a manual retry', () => {
    it('makes a settled delivery due at once and keeps its attempts and log', async () => {
      const fixture = await stage(open);
      const { id } = await bury(fixture, 'A');
      fixture.clock.advance(DAY);
      expect(await fixture.store.outbox.retry(id)).toMatchObject({ id, status: 'pending', nextAttemptAt: START + DAY });
      const again = await fixture.claimOne();
      expect(again).toMatchObject({ id, attempts: 0 });
      await fixture.settle(again, 'delivered');
      expect(await fixture.store.outbox.delivery(id)).toMatchObject({
        status: 'delivered',
        attempts: 2,
        lastError: null,
      });
    });

    it('of an expired delivery is sent however old its message is', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const { id, newestMessageAt } = await fixture.claimOne();
      expect(newestMessageAt).toBe(START / SECOND);
      await fixture.restart();
      fixture.clock.advance(LEASE);
      await fixture.settle(await fixture.claimOne(), 'expired');
      await fixture.store.outbox.retry(id);
      expect(await fixture.claimOne()).toMatchObject({ id, newestMessageAt: null });
    });

    it('is refused for an unknown delivery and a removed target', async () => {
      const fixture = await stage(open);
      const { id } = await bury(fixture, 'A');
      await expect(fixture.store.outbox.retry('dlv_00000000000')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await fixture.store.registry.removeTarget('bot');
      await expect(fixture.store.outbox.retry(id)).rejects.toEqual(refusal('GW_CONFLICT'));
    });
  });

  describe('a manual retry of a pending delivery', () => {
    it('makes one attempt at once and leaves the schedule unchanged', async () => {
      const fixture = await stage(open);
      const id = await failOnce(fixture, 'A', START + HOUR);
      expect(await fixture.store.outbox.retry(id)).toMatchObject({ status: 'pending', nextAttemptAt: START });
      const byHand = await fixture.claimOne();
      expect(byHand).toMatchObject({ id, attempts: 1, besideSchedule: true });
      await fixture.settle(byHand, 'pending', START + MINUTE);
      expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: START + HOUR });
      fixture.clock.advance(HOUR);
      expect(await fixture.claimOne()).toMatchObject({ id, attempts: 1, besideSchedule: false });
      expect(await fixture.store.outbox.delivery(id)).toMatchObject({ attempts: 2 });
    });

    it('requested several times before it is made makes one attempt', async () => {
      const fixture = await stage(open);
      const id = await failOnce(fixture, 'A', START + HOUR);
      for (let i = 0; i < 3; i += 1) await fixture.store.outbox.retry(id);
      await fixture.settle(await fixture.claimOne(), 'pending', START + MINUTE);
      expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: START + HOUR });
    });

    it('that settles after the next scheduled attempt was due leaves that attempt due', async () => {
      const fixture = await stage(open);
      const id = await failOnce(fixture, 'A', START + SECOND);
      await fixture.store.outbox.retry(id);
      const byHand = await fixture.claimOne();
      fixture.clock.advance(MINUTE);
      await fixture.settle(byHand, 'pending', START + HOUR);
      expect((await fixture.claim()).nextDueAt).toBe(START + HOUR);
    });

    it('I5: leaves an attempt in progress its lease, and makes one more right after it', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'A');
      const underWay = await fixture.claimOne();
      await fixture.store.outbox.retry(underWay.id);
      expect((await fixture.claim()).deliveries).toEqual([]);
      await fixture.settle(underWay, 'pending', START + HOUR);
      const byHand = await fixture.claimOne();
      expect(byHand).toMatchObject({ attempts: 1, besideSchedule: true });
      await fixture.settle(byHand, 'pending', START + MINUTE);
      expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: START + HOUR });
    });

    it.each(['delivered', 'dead'] as const)(
      'sends nothing more when the attempt in progress ends the delivery as %s',
      async (end) => {
        const fixture = await stage(open);
        await recordEach(fixture, 'A');
        const underWay = await fixture.claimOne();
        await fixture.store.outbox.retry(underWay.id);
        await fixture.settle(underWay, end);
        expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: null });
      },
    );

    it('is still due after a restart, and after it was returned without an attempt', async () => {
      const fixture = await stage(open);
      const id = await failOnce(fixture, 'A', START + HOUR);
      await fixture.store.outbox.retry(id);
      const { lease } = await fixture.claimOne();
      await fixture.store.outbox.settle({ id, lease, status: 'pending', dueAt: START, attempt: null });
      await fixture.restart();
      expect(await fixture.claimOne()).toMatchObject({ id, attempts: 1, besideSchedule: true });
    });
  });

  describe('removing a target', () => {
    it("I4: ends its pending deliveries as dead, including the claimed ones, and leaves other targets' deliveries", async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await recordEach(fixture, 'A');
      await fixture.record(messages(message('B', 'chat of A')));
      const claimed = (await fixture.claim()).deliveries.find((delivery) => delivery.target.id === 'bot');
      await fixture.store.registry.removeTarget('bot');
      expect(claimed && (await fixture.settle(claimed, 'delivered'))).toBe(false);
      const { data } = await fixture.store.outbox.deliveries({ target: 'bot' }, { limit: 9, cursor: null });
      expect(data.map((view) => [view.status, view.settledAt])).toEqual([
        ['dead', START],
        ['dead', START],
      ]);
      fixture.clock.advance(LEASE);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A', 'B']);
    });
  });
}
