import { describe, expect, it } from 'vitest';
import type { CheckResult, NewPause } from '../../../src/ledger/ledger.js';
import type { ResyncMessageView } from '../../../src/ledger/views.js';
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
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

const PAUSE: NewPause = { code: 'not_ready', reason: 'QR', nextCheckAt: START + HOUR };
const WELL: CheckResult = { pause: null, wasAway: false };
const IDEMPOTENCY = { key: 'key-1', fingerprint: 'print-1' };

/** The one channel with calls to make. */
async function pending({ ledger }: Store) {
  const [calls] = await ledger.pendingCalls();
  if (!calls) throw new Error('No channel has calls to make.');
  return calls;
}

async function check(store: Store, result: CheckResult): Promise<void> {
  await store.ledger.countCall('main');
  await store.ledger.settleCheck('main', result);
}

async function messagesOf(store: Store, id: string): Promise<readonly ResyncMessageView[]> {
  return await allPages(100, async (page) => await store.ledger.resyncMessages(id, page));
}

/** Asks for the next id; Whapi answers that it has not got it yet, after 15 seconds. */
async function ask(store: Store, more = {}): Promise<void> {
  const call = await takeCall(store);
  store.clock.advance(15 * SECOND);
  await store.ledger.settleCall(call, { status: 'waiting', nextAt: START + DAY, tookMs: 15 * SECOND, ...more });
}

/** What is known of the calls of a channel, and how far a run of thousands is. */
export function runsContract(open: OpenStore): void {
  describe('the calls of a channel', () => {
    it('are counted for the day, health checks too, over a restart; midnight UTC begins anew', async () => {
      const store = await stage(open);
      await register(store, ['A', 'B']);
      await takeCall(store);
      await store.ledger.countCall('main');
      await store.restart();
      expect(await pending(store)).toMatchObject({ callsToday: 2, lastCallAt: START });
      store.clock.advance(12 * HOUR);
      expect((await pending(store)).callsToday).toBe(0);
      await takeCall(store);
      expect((await pending(store)).callsToday).toBe(1);
    });

    it('that tell of trouble make a pause, which a restart keeps, and a good check ends', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status: 'queued', nextAt: START, pause: PAUSE });
      store.clock.advance(MINUTE);
      await check(store, { pause: { ...PAUSE, reason: 'STOP' }, wasAway: true });
      await store.restart();
      const pause = { ...PAUSE, reason: 'STOP', since: START };
      expect(await pending(store)).toMatchObject({ pause, failures: 2, healthyAt: null });
      await check(store, WELL);
      expect(await pending(store)).toMatchObject({ pause: null, failures: 2, healthyAt: START + MINUTE });
      await ask(store);
      expect(await pending(store)).toMatchObject({ pause: null, failures: 0 });
    });

    it.each([
      ['token', { whapiToken: sealed('another') }, true],
      ['address', { whapiBaseUrl: 'https://other.example' }, true],
      ['budget', { dailyCallBudget: 7 }, true],
      ['spacing', { resyncSpacingMs: 7 }, false],
    ])('are tried again at once where another %s may end the pause', async (_, change, isTried) => {
      const store = await stage(open);
      await register(store, ['A']);
      await check(store, { pause: PAUSE, wasAway: false });
      await store.ledger.changeChannel('main', change);
      expect((await pending(store)).pause?.nextCheckAt).toBe(isTried ? START : START + HOUR);
    });

    it('pause for no longer where the clock is set back', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await check(store, WELL);
      await check(store, { pause: PAUSE, wasAway: false });
      store.clock.advance(-DAY);
      await store.ledger.clockSetBack(DAY);
      const { pause, lastCallAt, healthyAt } = await pending(store);
      expect([pause?.nextCheckAt, lastCallAt, healthyAt]).toEqual([START + HOUR - DAY, START - DAY, START - DAY]);
    });

    it('are forgotten with their channel', async () => {
      const store = await stage(open);
      await check(store, { pause: PAUSE, wasAway: false });
      await store.ledger.removeChannel('main');
      await store.ledger.addChannel(channel('main'));
      await register(store, ['A']);
      expect(await pending(store)).toMatchObject({ callsToday: 0, pause: null, healthyAt: null });
    });

    it('for what was asked for while the channel may have been away are made again, and for nothing else', async () => {
      const store = await stage(open);
      await register(store, ['before', 'came', 'lost', 'not yet']);
      await ask(store);
      await check(store, WELL);
      await ask(store);
      await ask(store);
      await store.record(messages('came'));
      await check(store, { pause: PAUSE, wasAway: true });
      const waiting = (await store.ledger.explain('main', 'before'))?.resyncs[0];
      const lost = (await store.ledger.explain('main', 'lost'))?.resyncs[0];
      expect([waiting?.status, lost?.status, lost?.windowClosesAt]).toEqual(['waiting', 'queued', null]);
      const again = [(await takeCall(store)).messageId, (await takeCall(store)).messageId];
      expect(again.sort()).toEqual(['lost', 'not yet']);
    });
  });

  describe('I2: an id that is to be asked for again', () => {
    it('stays registered for as long as that takes', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status: 'queued', nextAt: START, closesAt: null });
      store.clock.advance(90 * DAY);
      expect(await store.ledger.closeWindows()).toBe(0);
      expect(await store.record(messages('A'))).toEqual(['restored']);
    });

    it('whose webhook came during the call keeps the end of its window', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      const call = await takeCall(store);
      await store.record(messages('A'));
      await store.ledger.settleCall(call, { status: 'queued', nextAt: START, closesAt: null });
      expect(await messagesOf(store, id)).toMatchObject([{ status: 'restored', windowClosesAt: START + HOUR }]);
    });

    it('has its window end after the last call where its resync is cancelled', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status: 'queued', nextAt: START, closesAt: null });
      await store.ledger.cancelResync(id);
      expect(await messagesOf(store, id)).toMatchObject([{ status: 'cancelled', windowClosesAt: START + HOUR }]);
    });
  });

  describe('what is proven', () => {
    it('is not asked for again by a later resync, and is held for its whole window', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await ask(store);
      await store.record(messages('A'));
      const { id } = await register(store, ['A', 'B'], { windowSeconds: DAY / SECOND });
      const message = { status: 'restored', proof: 'webhook', known: true, calls: 0 };
      expect(await messagesOf(store, id)).toMatchObject([message, { status: 'queued', known: false }]);
      expect((await takeCall(store)).messageId).toBe('B');
      store.clock.advance(DAY - MINUTE);
      expect(await store.record(messages('A'))).toEqual(['restored']);
    });

    it('by a look is proven for every resync that waits for it', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      const { id } = await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START });
      const look = await store.ledger.takeCall('main', 'poll', LEASE);
      if (!look) throw new Error('No look is due.');
      await store.ledger.settleCall(look, { status: 'restored', nextAt: null });
      expect(await messagesOf(store, id)).toMatchObject([{ status: 'restored', proof: 'look', calls: 1 }]);
      expect(await store.ledger.pendingCalls()).toEqual([]);
    });

    it('by a look alone is asked for where the message is to go to the bots, which takes its webhook', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START });
      await store.ledger.settleCall(await takeCall(store), { status: 'restored', nextAt: null });
      await register(store, ['A'], { deliverUnseen: true });
      expect((await takeCall(store)).messageId).toBe('A');
    });
  });

  describe('registering thousands', () => {
    it('is done in steps between which webhooks are recorded, and is nothing before the last of them', async () => {
      const store = await stage(open);
      const ids = Array.from({ length: 10_000 }, (_, index) => `M${index}`);
      const registering = register(store, ids);
      expect(await store.record(messages('M9999'))).toEqual(['new']);
      expect((await store.ledger.resyncs({ limit: 9, cursor: null })).data).toEqual([]);
      expect(await store.ledger.pendingCalls()).toEqual([]);
      expect(await registering).toMatchObject({ counts: { queued: 10_000 } });
      expect(await messagesOf(store, (await registering).id)).toHaveLength(10_000);
    });

    it('leaves nothing behind where the channel is removed meanwhile, and the key can be used again', async () => {
      const store = await stage(open);
      const ids = Array.from({ length: 2000 }, (_, index) => `M${index}`);
      const registering = register(store, ids, { idempotency: IDEMPOTENCY });
      await store.ledger.removeChannel('main');
      await expect(registering).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await store.ledger.addChannel(channel('main'));
      expect(await store.record(messages('M0'))).toEqual(['new']);
      const again = await register(store, ids, { idempotency: IDEMPOTENCY });
      expect(again).toMatchObject({ status: 'running', counts: { queued: 2000 } });
    });
  });

  describe('how far a resync is', () => {
    it('shows what the rate and the end are worked out from', async () => {
      const store = await stage(open);
      await register(store, ['X', 'Y']);
      const { id } = await register(store, ['A', 'B']);
      for (let made = 0; made < 3; made += 1) await ask(store);
      store.clock.advance(MINUTE);
      await store.record(messages('A'));
      const { progress } = (await store.ledger.resync(id)) ?? {};
      expect(progress).toMatchObject({ callMs: 15_000, restoreMs: 75_000, ahead: 0, settledLately: 1 });
      expect(progress).toMatchObject({ lastAskedAt: START + 30 * SECOND, latelyMs: 105_000, callsToday: 3 });
    });

    it('counts the ids of earlier resyncs that go first', async () => {
      const store = await stage(open);
      await register(store, ['X', 'Y']);
      expect((await register(store, ['A'])).progress?.ahead).toBe(2);
    });

    it('ends with the time at which the last message was settled', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A', 'B']);
      await store.record(messages('A'));
      store.clock.advance(MINUTE);
      await store.record(messages('B'));
      store.clock.advance(MINUTE);
      expect(await store.ledger.resync(id)).toMatchObject({ finishedAt: START + MINUTE, progress: null });
    });
  });

  describe('the report of a resync', () => {
    it('tells what was known from what was never seen, what failed and why, and what is held', async () => {
      const store = await stage(open);
      await store.record(messages('known'));
      const { id } = await register(store, ['known', 'unseen', 'refused', 'nowhere', 'queued']);
      await ask(store);
      await ask(store);
      await ask(store, { status: 'failed', nextAt: null, error: '403 Forbidden' });
      await ask(store);
      await store.record(messages('known', 'unseen'));
      const expected = {
        ...{ alreadyKnown: 1, neverSeenBefore: 1, calls: 4, polls: 0, held: 2 },
        ...{ proofs: { webhook: 2, look: 0 }, failures: [{ error: '403 Forbidden', count: 1 }] },
      };
      expect(await store.ledger.resyncReport(id)).toMatchObject(expected);
      await store.ledger.release('main', 'unseen', null);
      expect(await store.ledger.resyncReport(id)).toMatchObject({ ...expected, held: 1 });
      const page = { limit: 9, cursor: null };
      const held = (await store.ledger.resyncMessages(id, page, { held: true })).data;
      expect(held.map(({ messageId }) => messageId)).toEqual(['known']);
      const failed = (await store.ledger.resyncMessages(id, page, { status: 'failed' })).data;
      expect(failed.map(({ messageId }) => messageId)).toEqual(['refused']);
    });

    it('of a resync that is not there is none', async () => {
      const store = await stage(open);
      expect(await store.ledger.resyncReport('rsy_nobody')).toBeNull();
    });
  });
}
