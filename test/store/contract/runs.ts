import { describe, expect, it } from 'vitest';
import {
  allPages,
  channel,
  DAY,
  HOUR,
  LEASE,
  messages,
  MINUTE,
  refusal,
  register,
  SECOND,
  sealed,
  stage,
  START,
  takeCall,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { CheckResult, NewPause } from '../../../src/store/calls.js';
import type { ResyncMessageView } from '../../../src/store/resyncs.js';

const PAUSE: NewPause = { code: 'not_ready', reason: 'QR', nextCheckAt: START + HOUR };
const WELL: CheckResult = { pause: null, wasAway: false };
const IDEMPOTENCY = { key: 'key-1', fingerprint: 'print-1' };

/** The only channel with calls to make. */
async function pending({ store }: StoreFixture) {
  const [calls] = await store.resyncs.pendingCalls();
  if (!calls) throw new Error('No channel has calls to make.');
  return calls;
}

async function check(fixture: StoreFixture, result: CheckResult): Promise<void> {
  await fixture.store.calls.countCall('main');
  await fixture.store.calls.settleCheck('main', result);
}

async function messagesOf(fixture: StoreFixture, id: string): Promise<readonly ResyncMessageView[]> {
  return await allPages(100, async (page) => await fixture.store.resyncs.messages(id, page));
}

/** Asks for the next id. After 15 seconds Whapi answers that it does not have the message yet. */
async function ask(fixture: StoreFixture, more = {}): Promise<void> {
  const call = await takeCall(fixture);
  fixture.clock.advance(15 * SECOND);
  await fixture.store.resyncs.settleCall(call, {
    status: 'waiting',
    nextAt: START + DAY,
    tookMs: 15 * SECOND,
    ...more,
  });
}

/** The state of a channel's calls, and the progress of a resync of thousands. */
export function runsContract(open: OpenFixture): void {
  describe('the calls of a channel', () => {
    it('are counted per day, health checks included, across a restart, starting again at midnight UTC', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A', 'B']);
      await takeCall(fixture);
      await fixture.store.calls.countCall('main');
      await fixture.restart();
      expect(await pending(fixture)).toMatchObject({ callsToday: 2, lastCallAt: START });
      fixture.clock.advance(12 * HOUR);
      expect((await pending(fixture)).callsToday).toBe(0);
      await takeCall(fixture);
      expect((await pending(fixture)).callsToday).toBe(1);
    });

    it('that report trouble start a pause, which survives a restart and ends with a successful check', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), {
        status: 'queued',
        nextAt: START,
        pause: PAUSE,
      });
      fixture.clock.advance(MINUTE);
      await check(fixture, { pause: { ...PAUSE, reason: 'STOP' }, wasAway: true });
      await fixture.restart();
      const pause = { ...PAUSE, reason: 'STOP', since: START };
      expect(await pending(fixture)).toMatchObject({ pause, failures: 2, healthyAt: null });
      await check(fixture, WELL);
      expect(await pending(fixture)).toMatchObject({ pause: null, failures: 2, healthyAt: START + MINUTE });
      await ask(fixture);
      expect(await pending(fixture)).toMatchObject({ pause: null, failures: 0 });
    });

    it.each([
      ['token', { whapiToken: sealed('another') }, true],
      ['address', { whapiBaseUrl: 'https://other.example' }, true],
      ['budget', { dailyCallBudget: 7 }, true],
      ['spacing', { resyncSpacingMs: 7 }, false],
    ])('are tried again at once when a new %s may end the pause', async (_, change, isTried) => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await check(fixture, { pause: PAUSE, wasAway: false });
      await fixture.store.registry.changeChannel('main', change);
      expect((await pending(fixture)).pause?.nextCheckAt).toBe(isTried ? START : START + HOUR);
    });

    it('do not pause for longer when the clock goes back', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await check(fixture, WELL);
      await check(fixture, { pause: PAUSE, wasAway: false });
      await fixture.setClockBack(DAY);
      const { pause, lastCallAt, healthyAt } = await pending(fixture);
      expect([pause?.nextCheckAt, lastCallAt, healthyAt]).toEqual([START + HOUR - DAY, START - DAY, START - DAY]);
    });

    it('are deleted with their channel', async () => {
      const fixture = await stage(open);
      await check(fixture, { pause: PAUSE, wasAway: false });
      await fixture.store.registry.removeChannel('main');
      await fixture.store.registry.addChannel(channel('main'));
      await register(fixture, ['A']);
      expect(await pending(fixture)).toMatchObject({ callsToday: 0, pause: null, healthyAt: null });
    });

    it('are repeated only for ids requested while the channel may have been away', async () => {
      const fixture = await stage(open);
      await register(fixture, ['before', 'came', 'lost', 'not yet']);
      await ask(fixture);
      await check(fixture, WELL);
      await ask(fixture);
      await ask(fixture);
      await fixture.record(messages('came'));
      await check(fixture, { pause: PAUSE, wasAway: true });
      const waiting = (await fixture.store.items.explain('main', 'before'))?.resyncs[0];
      const lost = (await fixture.store.items.explain('main', 'lost'))?.resyncs[0];
      expect([waiting?.status, lost?.status, lost?.windowClosesAt]).toEqual(['waiting', 'queued', null]);
      const again = [(await takeCall(fixture)).messageId, (await takeCall(fixture)).messageId];
      expect(again.sort()).toEqual(['lost', 'not yet']);
    });
  });

  describe('I2: an id that waits for another call', () => {
    it('stays registered until that call is made', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), {
        status: 'queued',
        nextAt: START,
        closesAt: null,
      });
      fixture.clock.advance(90 * DAY);
      expect(await fixture.store.resyncs.closeWindows()).toBe(0);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
    });

    it('keeps the end of its window if its webhook came during the call', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      const call = await takeCall(fixture);
      await fixture.record(messages('A'));
      await fixture.store.resyncs.settleCall(call, { status: 'queued', nextAt: START, closesAt: null });
      expect(await messagesOf(fixture, id)).toMatchObject([{ status: 'restored', windowClosesAt: START + HOUR }]);
    });

    it('keeps its window after the last call when its resync is cancelled', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), {
        status: 'queued',
        nextAt: START,
        closesAt: null,
      });
      await fixture.store.resyncs.cancel(id);
      expect(await messagesOf(fixture, id)).toMatchObject([{ status: 'cancelled', windowClosesAt: START + HOUR }]);
    });
  });

  describe('a proven message', () => {
    it("is not asked for again by a later resync, and is held for that resync's whole window", async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await ask(fixture);
      await fixture.record(messages('A'));
      const { id } = await register(fixture, ['A', 'B'], { windowSeconds: DAY / SECOND });
      const message = { status: 'restored', proof: 'webhook', known: true, calls: 0 };
      expect(await messagesOf(fixture, id)).toMatchObject([message, { status: 'queued', known: false }]);
      expect((await takeCall(fixture)).messageId).toBe('B');
      fixture.clock.advance(DAY - MINUTE);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
    });

    it('counts as restored for every resync that waits for it, if a poll found it', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      const { id } = await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: START });
      const poll = await fixture.store.resyncs.takeCall('main', 'poll', LEASE);
      if (!poll) throw new Error('No poll is due.');
      await fixture.store.resyncs.settleCall(poll, { status: 'restored', nextAt: null });
      expect(await messagesOf(fixture, id)).toMatchObject([{ status: 'restored', proof: 'poll', calls: 1 }]);
      expect(await fixture.store.resyncs.pendingCalls()).toEqual([]);
    });

    it('is asked for again for deliver_unseen if only a poll found it, because delivery needs its webhook', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: START });
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'restored', nextAt: null });
      await register(fixture, ['A'], { deliverUnseen: true });
      expect((await takeCall(fixture)).messageId).toBe('A');
    });
  });

  describe('registering thousands', () => {
    it('runs in steps between which webhooks are recorded, and takes effect with the last step', async () => {
      const fixture = await stage(open);
      const ids = Array.from({ length: 10_000 }, (_, index) => `M${index}`);
      const registering = register(fixture, ids);
      expect(await fixture.record(messages('M9999'))).toEqual(['new']);
      expect((await fixture.store.resyncs.list({ limit: 9, cursor: null })).data).toEqual([]);
      expect(await fixture.store.resyncs.pendingCalls()).toEqual([]);
      expect(await registering).toMatchObject({ counts: { queued: 10_000 } });
      expect(await messagesOf(fixture, (await registering).id)).toHaveLength(10_000);
    });

    it('leaves nothing behind if the channel is removed meanwhile, and frees its idempotency key', async () => {
      const fixture = await stage(open);
      const ids = Array.from({ length: 2000 }, (_, index) => `M${index}`);
      const registering = register(fixture, ids, { idempotency: IDEMPOTENCY });
      await fixture.store.registry.removeChannel('main');
      await expect(registering).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await fixture.store.registry.addChannel(channel('main'));
      expect(await fixture.record(messages('M0'))).toEqual(['new']);
      const again = await register(fixture, ids, { idempotency: IDEMPOTENCY });
      expect(again).toMatchObject({ status: 'running', counts: { queued: 2000 } });
    });
  });

  describe('the progress of a resync', () => {
    it('contains the numbers that the rate and the estimated end are computed from', async () => {
      const fixture = await stage(open);
      await register(fixture, ['X', 'Y']);
      const { id } = await register(fixture, ['A', 'B']);
      for (let made = 0; made < 3; made += 1) await ask(fixture);
      fixture.clock.advance(MINUTE);
      await fixture.record(messages('A'));
      const { progress } = (await fixture.store.resyncs.get(id)) ?? {};
      expect(progress).toMatchObject({ callMs: 15_000, restoreMs: 75_000, ahead: 0, settledLately: 1 });
      expect(progress).toMatchObject({ lastAskedAt: START + 30 * SECOND, latelyMs: 105_000, callsToday: 3 });
    });

    it('counts the ids of earlier resyncs that come first', async () => {
      const fixture = await stage(open);
      await register(fixture, ['X', 'Y']);
      expect((await register(fixture, ['A'])).progress?.ahead).toBe(2);
    });

    it('counts them for each resync of a list, also those with a call of their own time, and not those of others', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('other'));
      await register(fixture, ['O1', 'O2'], { channel: 'other' });
      for (const ids of [['A'], ['B', 'C'], ['D', 'E', 'F'], ['G']]) {
        await register(fixture, ids);
        fixture.clock.advance(SECOND);
      }
      await ask(fixture);
      const aheads = async (): Promise<unknown> =>
        (await fixture.store.resyncs.list({ limit: 9, cursor: null })).data.map(({ progress }) => progress?.ahead);
      expect(await aheads()).toEqual([5, 2, 0, 0, 0]);
      const call = await takeCall(fixture);
      await fixture.store.resyncs.settleCall(call, { status: 'queued', nextAt: START + DAY, closesAt: null });
      expect(await aheads()).toEqual([5, 2, 0, 0, 0]);
    });

    it('lets other work run while a list is counted', async () => {
      const fixture = await stage(open);
      for (let index = 0; index < 5; index += 1) await register(fixture, [`M${index}`]);
      let turns = 0;
      const count = (): NodeJS.Immediate => setImmediate(() => ((turns += 1), (next = count())));
      let next = count();
      await fixture.store.resyncs.list({ limit: 5, cursor: null });
      clearImmediate(next);
      expect(turns).toBeGreaterThan(5);
    });

    it('ends at the time at which the last message was settled', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A', 'B']);
      await fixture.record(messages('A'));
      fixture.clock.advance(MINUTE);
      await fixture.record(messages('B'));
      fixture.clock.advance(MINUTE);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ finishedAt: START + MINUTE, progress: null });
    });
  });

  describe('the report of a resync', () => {
    it('counts known, never seen, failed and held messages, with the reasons of failures', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('known'));
      const { id } = await register(fixture, ['known', 'unseen', 'refused', 'nowhere', 'queued']);
      await ask(fixture);
      await ask(fixture);
      await ask(fixture, { status: 'failed', nextAt: null, error: '403 Forbidden' });
      await ask(fixture);
      await fixture.record(messages('known', 'unseen'));
      const expected = {
        ...{ alreadyKnown: 1, neverSeenBefore: 1, calls: 4, polls: 0, held: 2 },
        ...{ proofs: { webhook: 2, poll: 0 }, failures: [{ error: '403 Forbidden', count: 1 }] },
      };
      expect(await fixture.store.resyncs.report(id)).toMatchObject(expected);
      await fixture.store.outbox.release('main', 'unseen', null);
      expect(await fixture.store.resyncs.report(id)).toMatchObject({ ...expected, held: 1 });
      const page = { limit: 9, cursor: null };
      const held = (await fixture.store.resyncs.messages(id, page, { held: true })).data;
      expect(held.map(({ messageId }) => messageId)).toEqual(['known']);
      const failed = (await fixture.store.resyncs.messages(id, page, { status: 'failed' })).data;
      expect(failed.map(({ messageId }) => messageId)).toEqual(['refused']);
    });

    it('is null for an unknown resync', async () => {
      const fixture = await stage(open);
      expect(await fixture.store.resyncs.report('rsy_nobody')).toBeNull();
    });
  });
}
