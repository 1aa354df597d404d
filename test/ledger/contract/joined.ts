import { setImmediate as nextTick } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { CallResult } from '../../../src/ledger/ledger.js';
import type { ResyncMessageView } from '../../../src/ledger/views.js';
import {
  DAY,
  HOUR,
  idsIn,
  LEASE,
  messages,
  MINUTE,
  only,
  register,
  SECOND,
  stage,
  START,
  takeCall,
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

const WAITING: CallResult = { status: 'waiting', nextAt: START + MINUTE };
const FOUND: CallResult = { status: 'restored', nextAt: null };
const REQUEST = { channel: 'main', messageIds: ['A'], deliverUnseen: false, idempotency: null };

/** What one resync says of its only message. */
async function messageIn({ ledger }: Store, id: string): Promise<ResyncMessageView> {
  return only((await ledger.resyncMessages(id, { limit: 9, cursor: null })).data);
}

async function ask(store: Store, result: CallResult = WAITING): Promise<void> {
  await store.ledger.settleCall(await takeCall(store), result);
}

async function noCallIsDue({ ledger }: Store): Promise<void> {
  expect(await ledger.takeCall('main', 'resync', LEASE)).toBeNull();
}

/** Two resyncs of one id; Whapi was asked for it in between, and has not got it yet. */
async function twoResyncs(open: OpenStore, second: { deliverUnseen?: boolean; windowSeconds?: number } = {}) {
  const store = await stage(open);
  const first = await register(store, ['A']);
  await ask(store);
  return { store, first: first.id, second: (await register(store, ['A'], second)).id };
}

/** One id has one open registration, which several resyncs share. */
export function joinedContract(open: OpenStore): void {
  describe('a resync of an id that another one is bringing back', () => {
    it('joins it: it stands where that one stands, and no call is made for it', async () => {
      const { store, first, second } = await twoResyncs(open);
      const state = { status: 'waiting', askedAt: START, windowClosesAt: START + HOUR };
      expect([await messageIn(store, first), await messageIn(store, second)]).toMatchObject([state, state]);
      await noCallIsDue(store);
    });

    it('shares its polls: one at a time, whose answer holds for both', async () => {
      const { store, first, second } = await twoResyncs(open);
      store.clock.advance(MINUTE);
      const poll = await takeCall(store);
      await noCallIsDue(store);
      await store.ledger.settleCall(poll, FOUND);
      const restored = { status: 'restored', proof: 'look', polls: 1 };
      expect([await messageIn(store, first), await messageIn(store, second)]).toMatchObject([restored, restored]);
      expect(await store.ledger.resync(second)).toMatchObject({ status: 'finished', counts: { restored: 1 } });
      expect(await store.ledger.resyncReport(second)).toMatchObject({
        neverSeenBefore: 1,
        polls: 1,
        proofs: { look: 1 },
      });
    });

    it.each(['before it was asked for', 'while it is asked for'])('%s is asked for once, for both', async (when) => {
      const store = await stage(open);
      const first = await register(store, ['A']);
      const early = when.startsWith('while') ? await takeCall(store) : null;
      const second = await register(store, ['A']);
      await store.ledger.settleCall(early ?? (await takeCall(store)), { status: 'failed', nextAt: null, error: '403' });
      const failed = { status: 'failed', error: '403' };
      expect([await messageIn(store, first.id), await messageIn(store, second.id)]).toMatchObject([failed, failed]);
      await noCallIsDue(store);
    });

    it.each([0, 1])('goes on when the other one (%i) is cancelled, even while its call is under way', async (which) => {
      const store = await stage(open);
      const ids = [(await register(store, ['A'])).id, (await register(store, ['A'])).id];
      const call = await takeCall(store);
      await store.ledger.cancelResync(ids[which] ?? '');
      await store.ledger.settleCall(call, WAITING);
      store.clock.advance(MINUTE);
      await store.ledger.settleCall(await takeCall(store), FOUND);
      const statuses = await Promise.all(ids.map(async (id) => (await messageIn(store, id)).status));
      expect(statuses).toEqual(which === 0 ? ['cancelled', 'restored'] : ['restored', 'cancelled']);
    });

    it('is restored with it by one webhook, also where both are restarted in the middle (I2)', async () => {
      const { store, first, second } = await twoResyncs(open);
      await store.restart();
      expect(await store.record(messages('A'))).toEqual(['restored']);
      const restored = { status: 'restored', proof: 'webhook' };
      expect([await messageIn(store, first), await messageIn(store, second)]).toMatchObject([restored, restored]);
      await noCallIsDue(store);
    });

    it.each([DAY, MINUTE])('has the longer of both windows, its own being %i ms', async (windowMs) => {
      const { store, first, second } = await twoResyncs(open, { windowSeconds: windowMs / SECOND });
      const closesAt = START + Math.max(windowMs, HOUR);
      expect((await messageIn(store, first)).windowClosesAt).toBe(closesAt);
      expect((await messageIn(store, second)).windowClosesAt).toBe(closesAt);
      store.clock.advance(closesAt - START - 1);
      await store.ledger.closeWindows();
      expect(await store.record(messages('A'))).toEqual(['restored']);
    });

    it('keeps the longer window where it joins while the id is asked for', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      const call = await takeCall(store);
      const { id } = await register(store, ['A'], { windowSeconds: DAY / SECOND });
      await store.ledger.settleCall(call, { ...WAITING, closesAt: START + HOUR });
      expect((await messageIn(store, id)).windowClosesAt).toBe(START + DAY);
    });

    it('has the message sent to the bots where only one of both says deliver_unseen', async () => {
      const { store } = await twoResyncs(open, { deliverUnseen: true });
      expect(await store.record(messages('A'))).toEqual(['restored']);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('with deliver_unseen asks for its webhook once more where a poll alone finds the message', async () => {
      const { store, first, second } = await twoResyncs(open, { deliverUnseen: true });
      store.clock.advance(MINUTE);
      await store.ledger.settleCall(await takeCall(store), FOUND);
      expect([(await messageIn(store, first)).status, (await messageIn(store, second)).status]).toEqual([
        ...['restored', 'queued'],
      ]);
      expect(await takeCall(store)).toMatchObject({ kind: 'resync', resyncId: second });
    });

    it('has it asked for again at once where the last call is more than an hour old', async () => {
      const store = await stage(open);
      await register(store, ['A'], { windowSeconds: DAY / SECOND });
      await ask(store, { status: 'waiting', nextAt: START + DAY });
      store.clock.advance(HOUR);
      await register(store, ['A'], { windowSeconds: DAY / SECOND });
      expect(await takeCall(store)).toMatchObject({ kind: 'resync', messageId: 'A' });
      await noCallIsDue(store);
    });
  });

  describe('a call of somebody who asks for the id himself', () => {
    const requestOf = (windowSeconds = HOUR / SECOND) => ({ ...REQUEST, windowSeconds });

    it('joins what is being brought back: five calls make one resync', async () => {
      const store = await stage(open);
      for (let made = 0; made < 5; made += 1) {
        const call = only(await store.ledger.registerAsked(requestOf(), LEASE));
        expect(call.made).toBe(made);
        await store.ledger.settleCall(call, WAITING);
      }
      const { data } = await store.ledger.resyncs({ limit: 9, cursor: null });
      expect(await messageIn(store, only(data).id)).toMatchObject({ status: 'waiting', calls: 5 });
    });

    it('joins a run, extends its window, and does not shorten a longer one', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A'], { windowSeconds: 60 });
      const call = only(await store.ledger.registerAsked(requestOf(), LEASE));
      expect(call).toMatchObject({ resyncId: id, windowSeconds: HOUR / SECOND });
      await store.ledger.settleCall(call, { ...WAITING, closesAt: START + HOUR });
      store.clock.advance(MINUTE);
      expect(await takeCall(store)).toMatchObject({ kind: 'poll', windowSeconds: HOUR / SECOND });
      const next = only(await store.ledger.registerAsked(requestOf(60), LEASE));
      expect(next.windowSeconds).toBe(HOUR / SECOND);
    });

    it('joins what is restored, keeps it registered for longer, and its refusal changes nothing', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await store.record(messages('A'));
      store.clock.advance(MINUTE);
      const call = only(await store.ledger.registerAsked(requestOf(), LEASE));
      const refusal: CallResult = { status: 'failed', nextAt: null, refused: true, closesAt: START + 2 * MINUTE };
      await store.ledger.settleCall(call, refusal);
      const closesAt = START + MINUTE + HOUR;
      expect(await messageIn(store, id)).toMatchObject({ status: 'restored', calls: 1, windowClosesAt: closesAt });
    });

    it('makes a resync of its own where the other one was cancelled or refused', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await ask(store, { status: 'failed', nextAt: null, refused: true });
      const call = only(await store.ledger.registerAsked(requestOf(), LEASE));
      expect([call.resyncId === id, call.made]).toEqual([false, 0]);
      await store.ledger.cancelResync(call.resyncId);
      expect(only(await store.ledger.registerAsked(requestOf(), LEASE)).resyncId).not.toBe(call.resyncId);
    });

    it('I2: registers every id that it may be taken for', async () => {
      const store = await stage(open);
      const calls = await store.ledger.registerAsked({ ...requestOf(), messageIds: ['A', ' A'] }, LEASE);
      expect(calls.map(({ messageId }) => messageId)).toEqual(['A', ' A']);
      expect(new Set(calls.map(({ resyncId }) => resyncId)).size).toBe(1);
      expect(await store.record(messages('A', ' A'))).toEqual(['restored', 'restored']);
    });
  });

  describe('what a call says of its channel', () => {
    const pause = { code: 'busy', reason: '429', nextCheckAt: START + HOUR } as const;

    it('is kept although no call was counted before, and outlives a good answer until it is over', async () => {
      const store = await stage(open);
      const call = only(await store.ledger.registerAsked({ ...REQUEST, windowSeconds: 60 }, LEASE));
      await store.ledger.settleCall(call, { status: 'queued', nextAt: START, pause });
      await store.ledger.noteAnswer('main', null);
      expect(await store.ledger.channelState('main')).toMatchObject({ callsToday: 0, failures: 1, pause });
      store.clock.advance(HOUR);
      await store.ledger.noteAnswer('main', null);
      expect(await store.ledger.channelState('main')).toMatchObject({ failures: 0, pause: null });
    });

    it('is not cut short by later trouble where Whapi named a longer pause, over a restart', async () => {
      const store = await stage(open);
      await store.ledger.noteAnswer('main', pause);
      await store.ledger.noteAnswer('main', { code: 'busy', reason: '503', nextCheckAt: START + 5000 });
      await store.ledger.noteAnswer('main', { code: 'not_ready', reason: '401', nextCheckAt: START + 5000 });
      await store.restart();
      expect(await store.ledger.channelState('main')).toMatchObject({ failures: 3, pause });
      const longer = { code: 'busy', reason: '429 again', nextCheckAt: START + 2 * HOUR } as const;
      await store.ledger.noteAnswer('main', longer);
      expect(await store.ledger.channelState('main')).toMatchObject({ pause: longer });
    });

    it('is kept of no channel that was removed meanwhile', async () => {
      const store = await stage(open);
      await store.ledger.removeChannel('main');
      await store.ledger.countCall('main');
      await store.ledger.noteAnswer('main', pause);
      expect(await store.ledger.channelState('main')).toBeNull();
    });
  });

  describe('whether a resync is running', () => {
    const states = async ({ ledger }: Store, after = 0, before = Infinity) =>
      (await ledger.resyncStates({ after, before: Math.min(before, Number.MAX_SAFE_INTEGER) }, 2)).map(
        ({ id, isRunning }) => [id, isRunning],
      );

    const idOf = async (store: Store, messageId: string) => (await register(store, [messageId])).id;

    it('is told of the newest first, within a range of numbers', async () => {
      const store = await stage(open);
      const [a, b, c] = [await idOf(store, 'A'), await idOf(store, 'B'), await idOf(store, 'C')];
      await store.ledger.cancelResync(b);
      expect(await states(store)).toEqual([
        [c, true],
        [b, false],
      ]);
      const [newest, second] = await store.ledger.resyncStates({ after: 0, before: Number.MAX_SAFE_INTEGER }, 2);
      expect(await states(store, 0, second?.number)).toEqual([[a, true]]);
      expect(await states(store, newest?.number)).toEqual([]);
      expect(await store.ledger.stillRunning([a, b, c, 'rsy_none'])).toEqual(new Set([a, c]));
    });

    it('is told of one that is still being registered, too', async () => {
      const store = await stage(open);
      const ids = Array.from({ length: 5000 }, (_, at) => `m-${at}`);
      const registered = store.ledger.register({ ...REQUEST, windowSeconds: 60, messageIds: ids });
      while ((await states(store)).length === 0) await nextTick();
      expect(await store.ledger.resyncs({ limit: 1, cursor: null })).toMatchObject({ data: [] });
      const [[id, isRunning] = []] = await states(store);
      expect([isRunning, (await registered).id]).toEqual([true, id]);
    });
  });
}
