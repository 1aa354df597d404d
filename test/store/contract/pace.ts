import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/model.js';
import type { Claimed } from '../../../src/store/outbox.js';
import {
  first,
  HOUR,
  idsIn,
  MINUTE,
  message,
  messages,
  only,
  SECOND,
  stage,
  status,
  target,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const PACE = { backlogRatePerMinute: 10 };
/** How long ago the messages of the backlog were sent, in seconds. */
const OLD = 3600;

/** A store with a backlog: each message in a chat named after what precedes the dash of its id, the first one the oldest. */
async function stageBacklog(open: OpenFixture, ids: readonly string[], settings: Partial<Target> = PACE) {
  const fixture = await stage(open, [target('bot', settings)]);
  for (const [at, id] of ids.entries()) await receive(fixture, id, OLD - at);
  return fixture;
}

async function receive(fixture: StoreFixture, id: string, ago: number): Promise<void> {
  const timestamp = fixture.clock.now() / SECOND - ago;
  await fixture.record(messages(message(id, id.split('-')[0], { timestamp })));
}

async function claim({ store }: StoreFixture, backlog: number, limit = 100): Promise<Claimed> {
  return await store.outbox.claim([{ targetId: 'bot', limit, backlog }], MINUTE);
}

async function claimIds(fixture: StoreFixture, backlog: number, limit?: number): Promise<string[]> {
  return idsIn((await claim(fixture, backlog, limit)).deliveries);
}

/** Claims one of the backlog after the other and delivers it. */
async function drain(fixture: StoreFixture): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const { deliveries } = await claim(fixture, 1);
    for (const each of deliveries) await fixture.settle(each, 'delivered');
    ids.push(...idsIn(deliveries));
    if (deliveries.length === 0) return ids;
  }
}

/** A backlog with a pace: live deliveries are found at once, and the newest chats come first. */
export function paceContract(open: OpenFixture): void {
  describe('a backlog with a pace', () => {
    it('is let out as far as the claim says, newest chats first', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1', 'c-1', 'd-1']);
      expect(await claimIds(fixture, 0)).toEqual([]);
      expect(await claimIds(fixture, 2)).toEqual(['d-1', 'c-1']);
      expect(await claimIds(fixture, 5)).toEqual(['b-1', 'a-1']);
    });

    it('I6: keeps the order of a chat, and ranks it by its newest message', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1', 'b-2', 'a-2']);
      expect(await drain(fixture)).toEqual(['a-1', 'a-2', 'b-1', 'b-2']);
    });

    it('holds up no live message, no other event, and nothing that has no pace', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      await receive(fixture, 'live-1', 0);
      await fixture.record(status('a-1', 'a'));
      const { deliveries } = await claim(fixture, 0);
      expect(deliveries.map(({ event }) => event.type)).toEqual(['messages', 'statuses']);
      expect(deliveries.map(({ isFromBacklog }) => isFromBacklog)).toEqual([false, false]);
    });

    it('finds what is live behind more than one claim sorts', async () => {
      const fixture = await stage(open, [target('bot', { ...PACE, split: 'item' })]);
      const many = Array.from({ length: 600 }, (_, at) => message(`${at}`, `chat ${at}`));
      await fixture.record(messages(...many));
      fixture.clock.advance(HOUR);
      await receive(fixture, 'live-1', 0);
      const found = [...(await claimIds(fixture, 0)), ...(await claimIds(fixture, 0))];
      expect(found).toEqual(['live-1']);
    });

    it('finds what is live behind more than one claim can look at', async () => {
      const settings = { ...PACE, backlogPolicy: 'newest_per_chat', split: 'item' } as const;
      const fixture = await stage(open, [target('bot', settings)]);
      const chats = Array.from({ length: 120 }, (_, at) => `chat ${at}`);
      for (const round of [1, 2])
        await fixture.record(messages(...chats.map((chat) => message(`${chat}-${round}`, chat))));
      fixture.clock.advance(HOUR);
      await receive(fixture, 'live-1', 0);
      expect(await claimIds(fixture, 0, 60)).toContain('live-1');
    });

    it('puts what the settings leave out behind what is live', async () => {
      const settings = { ...PACE, backlogPolicy: 'newest_per_chat', split: 'item' } as const;
      const fixture = await stage(open, [target('bot', settings)]);
      const chats = Array.from({ length: 20 }, (_, at) => `chat ${at}`);
      for (const round of [1, 2])
        await fixture.record(messages(...chats.map((chat) => message(`${chat}-${round}`, chat))));
      fixture.clock.advance(HOUR);
      await receive(fixture, 'live-1', 0);
      fixture.clock.advance(SECOND);
      expect(await claimIds(fixture, 0, 5)).toEqual(['live-1', 'chat 0-1', 'chat 1-1', 'chat 2-1', 'chat 3-1']);
    });

    it('ranks a chat anew when a message of it comes', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      expect(await claimIds(fixture, 0)).toEqual([]);
      await receive(fixture, 'a-live', 0);
      expect(await claimIds(fixture, 1)).toEqual(['a-1']);
    });

    it('waits across a restart, and shows what for', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      await claim(fixture, 0);
      await fixture.restart();
      const { data } = await fixture.store.outbox.deliveries({ status: 'pending' }, { limit: 50, cursor: null });
      expect(data.map(({ waitsFor, nextAttemptAt }) => [waitsFor, nextAttemptAt])).toEqual([
        ['backlog_rate', null],
        ['backlog_rate', null],
      ]);
      expect([...(await fixture.store.outbox.due()).targetIds]).toEqual(['bot']);
      expect(await claimIds(fixture, 1)).toEqual(['b-1']);
    });

    it('is no longer due once it is sent', async () => {
      const fixture = await stageBacklog(open, ['a-1']);
      expect(await drain(fixture)).toEqual(['a-1']);
      expect((await fixture.store.outbox.due()).targetIds.size).toBe(0);
    });

    it('I5: comes back to its rank when it is returned or its lease runs out', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      const { id, lease } = only((await claim(fixture, 1)).deliveries);
      await fixture.store.outbox.settle({ id, lease, status: 'pending', attempt: null });
      expect(await claimIds(fixture, 1)).toEqual(['b-1']);
      fixture.clock.advance(MINUTE);
      expect(await claimIds(fixture, 1)).toEqual(['b-1']);
    });

    it('is retried at its time, and then waits for its turn again', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      await fixture.settle(first((await claim(fixture, 1)).deliveries), 'pending', fixture.clock.now() + MINUTE);
      fixture.clock.advance(MINUTE);
      expect(await claimIds(fixture, 0)).toEqual([]);
      expect(await claimIds(fixture, 2)).toEqual(['b-1', 'a-1']);
    });

    it('lets through what a person has retried, and only that once', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      await claim(fixture, 0);
      const { data } = await fixture.store.outbox.deliveries({ status: 'pending' }, { limit: 50, cursor: null });
      await fixture.store.outbox.retry(data[1]?.id ?? '');
      const { deliveries } = await claim(fixture, 0);
      expect(idsIn(deliveries)).toEqual(['a-1']);
      await fixture.settle(only(deliveries), 'pending', fixture.clock.now());
      expect(await claimIds(fixture, 0)).toEqual([]);
    });

    it('I4: finds what a person has retried in vain, were it the last of the backlog', async () => {
      const fixture = await stageBacklog(open, ['a-1']);
      await claim(fixture, 0);
      const { data } = await fixture.store.outbox.deliveries({ status: 'pending' }, { limit: 50, cursor: null });
      await fixture.store.outbox.retry(data[0]?.id ?? '');
      const { deliveries } = await claim(fixture, 0);
      await fixture.store.outbox.due();
      await fixture.settle(only(deliveries), 'pending', fixture.clock.now());
      expect([...(await fixture.store.outbox.due()).targetIds]).toEqual(['bot']);
      expect(await claimIds(fixture, 1)).toEqual(['a-1']);
    });

    it('lets through what the settings of the target leave out', async () => {
      const settings = { ...PACE, backlogPolicy: 'newest_per_chat' } as const;
      const fixture = await stageBacklog(open, ['a-1', 'b-1', 'a-2'], settings);
      expect(await claimIds(fixture, 0)).toEqual(['a-1']);
    });

    it('goes at full speed, in the same order, once the pace is gone', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      await claim(fixture, 0);
      await fixture.store.registry.changeTarget('bot', { backlogRatePerMinute: null });
      expect([...(await fixture.store.outbox.due()).targetIds]).toEqual(['bot']);
      expect(idsIn((await fixture.claim()).deliveries)).toEqual(['b-1', 'a-1']);
    });

    it('is not shifted when the clock is set back', async () => {
      const fixture = await stageBacklog(open, ['a-1', 'b-1']);
      await claim(fixture, 0);
      await fixture.setClockBack(HOUR);
      expect(await claimIds(fixture, 1)).toEqual(['b-1']);
    });

    it('is never leased as it is recorded', async () => {
      const fixture = await stage(open, [target('bot', PACE)]);
      fixture.store.outbox.offer('bot', { count: 10, bytes: 1_000_000, leaseMs: MINUTE });
      await receive(fixture, 'live-1', 0);
      await receive(fixture, 'a-1', OLD);
      expect(await claimIds(fixture, 1)).toContain('a-1'); // `live-1` as well, where an engine makes no use of the offer
    });
  });
}
