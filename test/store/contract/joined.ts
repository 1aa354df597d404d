import { setImmediate as nextTick } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
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
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { CallResult, ResyncMessageView } from '../../../src/store/resyncs.js';

const WAITING: CallResult = { status: 'waiting', nextAt: START + MINUTE };
const FOUND: CallResult = { status: 'restored', nextAt: null };
const REQUEST = { channel: 'main', messageIds: ['A'], deliverUnseen: false, idempotency: null };

/** How one resync shows its only message. */
async function messageIn({ store }: StoreFixture, id: string): Promise<ResyncMessageView> {
  return only((await store.resyncs.messages(id, { limit: 9, cursor: null })).data);
}

async function ask(fixture: StoreFixture, result: CallResult = WAITING): Promise<void> {
  await fixture.store.resyncs.settleCall(await takeCall(fixture), result);
}

async function noCallIsDue({ store }: StoreFixture): Promise<void> {
  expect(await store.resyncs.takeCall('main', 'resync', LEASE)).toBeNull();
}

/** Two resyncs of one id. Whapi was asked for it in between and does not have it yet. */
async function twoResyncs(open: OpenFixture, second: { deliverUnseen?: boolean; windowSeconds?: number } = {}) {
  const fixture = await stage(open);
  const first = await register(fixture, ['A']);
  await ask(fixture);
  return { fixture, first: first.id, second: (await register(fixture, ['A'], second)).id };
}

/** One id has one open registration, which several resyncs share. */
export function joinedContract(open: OpenFixture): void {
  describe('a resync that joins another one of the same id', () => {
    it('shares its state and makes no call', async () => {
      const { fixture, first, second } = await twoResyncs(open);
      const state = { status: 'waiting', askedAt: START, windowClosesAt: START + HOUR };
      expect([await messageIn(fixture, first), await messageIn(fixture, second)]).toMatchObject([state, state]);
      await noCallIsDue(fixture);
    });

    it('shares its polls: one runs at a time and its answer counts for both', async () => {
      const { fixture, first, second } = await twoResyncs(open);
      fixture.clock.advance(MINUTE);
      const poll = await takeCall(fixture);
      await noCallIsDue(fixture);
      await fixture.store.resyncs.settleCall(poll, FOUND);
      const restored = { status: 'restored', proof: 'poll', polls: 1 };
      expect([await messageIn(fixture, first), await messageIn(fixture, second)]).toMatchObject([restored, restored]);
      expect(await fixture.store.resyncs.get(second)).toMatchObject({ status: 'finished', counts: { restored: 1 } });
      expect(await fixture.store.resyncs.report(second)).toMatchObject({
        neverSeenBefore: 1,
        polls: 1,
        proofs: { poll: 1 },
      });
    });

    it.each(['before it was asked for', 'while it is asked for'])('%s makes one call for both', async (when) => {
      const fixture = await stage(open);
      const first = await register(fixture, ['A']);
      const early = when.startsWith('while') ? await takeCall(fixture) : null;
      const second = await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(early ?? (await takeCall(fixture)), {
        status: 'failed',
        nextAt: null,
        error: '403',
      });
      const failed = { status: 'failed', error: '403' };
      expect([await messageIn(fixture, first.id), await messageIn(fixture, second.id)]).toMatchObject([failed, failed]);
      await noCallIsDue(fixture);
    });

    it.each([0, 1])('continues when the other one (%i) is cancelled, even during its call', async (which) => {
      const fixture = await stage(open);
      const ids = [(await register(fixture, ['A'])).id, (await register(fixture, ['A'])).id];
      const call = await takeCall(fixture);
      await fixture.store.resyncs.cancel(ids[which] ?? '');
      await fixture.store.resyncs.settleCall(call, WAITING);
      fixture.clock.advance(MINUTE);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), FOUND);
      const statuses = await Promise.all(ids.map(async (id) => (await messageIn(fixture, id)).status));
      expect(statuses).toEqual(which === 0 ? ['cancelled', 'restored'] : ['restored', 'cancelled']);
    });

    it('is restored together with the other one by one webhook, also after a restart (I2)', async () => {
      const { fixture, first, second } = await twoResyncs(open);
      await fixture.restart();
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      const restored = { status: 'restored', proof: 'webhook' };
      expect([await messageIn(fixture, first), await messageIn(fixture, second)]).toMatchObject([restored, restored]);
      await noCallIsDue(fixture);
    });

    it.each([DAY, MINUTE])('gets the longer of both windows, when its own is %i ms', async (windowMs) => {
      const { fixture, first, second } = await twoResyncs(open, { windowSeconds: windowMs / SECOND });
      const closesAt = START + Math.max(windowMs, HOUR);
      expect((await messageIn(fixture, first)).windowClosesAt).toBe(closesAt);
      expect((await messageIn(fixture, second)).windowClosesAt).toBe(closesAt);
      fixture.clock.advance(closesAt - START - 1);
      await fixture.store.resyncs.closeWindows();
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
    });

    it('keeps the longer window when it joins while the call is in flight', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      const call = await takeCall(fixture);
      const { id } = await register(fixture, ['A'], { windowSeconds: DAY / SECOND });
      await fixture.store.resyncs.settleCall(call, { ...WAITING, closesAt: START + HOUR });
      expect((await messageIn(fixture, id)).windowClosesAt).toBe(START + DAY);
    });

    it('sends the message to the bots when only one of both sets deliver_unseen', async () => {
      const { fixture } = await twoResyncs(open, { deliverUnseen: true });
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('with deliver_unseen asks for the webhook again when only a poll finds the message', async () => {
      const { fixture, first, second } = await twoResyncs(open, { deliverUnseen: true });
      fixture.clock.advance(MINUTE);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), FOUND);
      expect([(await messageIn(fixture, first)).status, (await messageIn(fixture, second)).status]).toEqual([
        ...['restored', 'queued'],
      ]);
      expect(await takeCall(fixture)).toMatchObject({ kind: 'resync', resyncId: second });
    });

    it('calls Whapi again at once when the last call is more than an hour old', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A'], { windowSeconds: DAY / SECOND });
      await ask(fixture, { status: 'waiting', nextAt: START + DAY });
      fixture.clock.advance(HOUR);
      await register(fixture, ['A'], { windowSeconds: DAY / SECOND });
      expect(await takeCall(fixture)).toMatchObject({ kind: 'resync', messageId: 'A' });
      await noCallIsDue(fixture);
    });
  });

  describe('a pass-through resync call', () => {
    const requestOf = (windowSeconds = HOUR / SECOND) => ({ ...REQUEST, windowSeconds });

    it('joins an open registration, so that five calls make one resync', async () => {
      const fixture = await stage(open);
      for (let made = 0; made < 5; made += 1) {
        const call = only(await fixture.store.resyncs.registerAsked(requestOf(), LEASE));
        expect(call.made).toBe(made);
        await fixture.store.resyncs.settleCall(call, WAITING);
      }
      const { data } = await fixture.store.resyncs.list({ limit: 9, cursor: null });
      expect(await messageIn(fixture, only(data).id)).toMatchObject({ status: 'waiting', calls: 5 });
    });

    it('joins a running resync and extends its window, but never shortens a longer one', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A'], { windowSeconds: 60 });
      const call = only(await fixture.store.resyncs.registerAsked(requestOf(), LEASE));
      expect(call).toMatchObject({ resyncId: id, windowSeconds: HOUR / SECOND });
      await fixture.store.resyncs.settleCall(call, { ...WAITING, closesAt: START + HOUR });
      fixture.clock.advance(MINUTE);
      expect(await takeCall(fixture)).toMatchObject({ kind: 'poll', windowSeconds: HOUR / SECOND });
      const next = only(await fixture.store.resyncs.registerAsked(requestOf(60), LEASE));
      expect(next.windowSeconds).toBe(HOUR / SECOND);
    });

    it('joins a restored registration and extends its window, and a refusal by Whapi changes nothing', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.record(messages('A'));
      fixture.clock.advance(MINUTE);
      const call = only(await fixture.store.resyncs.registerAsked(requestOf(), LEASE));
      const refusal: CallResult = { status: 'failed', nextAt: null, refused: true, closesAt: START + 2 * MINUTE };
      await fixture.store.resyncs.settleCall(call, refusal);
      const closesAt = START + MINUTE + HOUR;
      expect(await messageIn(fixture, id)).toMatchObject({ status: 'restored', calls: 1, windowClosesAt: closesAt });
    });

    it('keeps a restored registration with a shorter window open for as long as it asks for', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A'], { windowSeconds: 60 });
      await fixture.record(messages('A'));
      const call = only(await fixture.store.resyncs.registerAsked(requestOf(), LEASE));
      expect(call).toMatchObject({ resyncId: id, windowSeconds: HOUR / SECOND });
      expect((await messageIn(fixture, id)).windowClosesAt).toBe(START + HOUR);
    });

    it('makes its own resync when the other one was cancelled or refused', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await ask(fixture, { status: 'failed', nextAt: null, refused: true });
      const call = only(await fixture.store.resyncs.registerAsked(requestOf(), LEASE));
      expect([call.resyncId === id, call.made]).toEqual([false, 0]);
      await fixture.store.resyncs.cancel(call.resyncId);
      expect(only(await fixture.store.resyncs.registerAsked(requestOf(), LEASE)).resyncId).not.toBe(call.resyncId);
    });

    it('I2: registers every id that the call may refer to', async () => {
      const fixture = await stage(open);
      const calls = await fixture.store.resyncs.registerAsked({ ...requestOf(), messageIds: ['A', ' A'] }, LEASE);
      expect(calls.map(({ messageId }) => messageId)).toEqual(['A', ' A']);
      expect(new Set(calls.map(({ resyncId }) => resyncId)).size).toBe(1);
      expect(await fixture.record(messages('A', ' A'))).toEqual(['restored', 'restored']);
    });
  });

  describe("the state of a channel's calls", () => {
    const pause = { code: 'busy', reason: '429', nextCheckAt: START + HOUR } as const;

    it('is stored without a counted call, and survives a good answer until its pause is over', async () => {
      const fixture = await stage(open);
      const call = only(await fixture.store.resyncs.registerAsked({ ...REQUEST, windowSeconds: 60 }, LEASE));
      await fixture.store.resyncs.settleCall(call, { status: 'queued', nextAt: START, pause });
      await fixture.store.calls.noteAnswer('main', null);
      expect(await fixture.store.calls.stateOf('main')).toMatchObject({ callsToday: 0, failures: 1, pause });
      fixture.clock.advance(HOUR);
      await fixture.store.calls.noteAnswer('main', null);
      expect(await fixture.store.calls.stateOf('main')).toMatchObject({ failures: 0, pause: null });
    });

    it('keeps a longer pause that Whapi named despite later trouble, also after a restart', async () => {
      const fixture = await stage(open);
      await fixture.store.calls.noteAnswer('main', pause);
      await fixture.store.calls.noteAnswer('main', { code: 'busy', reason: '503', nextCheckAt: START + 5000 });
      await fixture.store.calls.noteAnswer('main', { code: 'not_ready', reason: '401', nextCheckAt: START + 5000 });
      await fixture.restart();
      expect(await fixture.store.calls.stateOf('main')).toMatchObject({ failures: 3, pause });
      const longer = { code: 'busy', reason: '429 again', nextCheckAt: START + 2 * HOUR } as const;
      await fixture.store.calls.noteAnswer('main', longer);
      expect(await fixture.store.calls.stateOf('main')).toMatchObject({ pause: longer });
    });

    it('is not stored for a channel that was removed in the meantime', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.removeChannel('main');
      await fixture.store.calls.countCall('main');
      await fixture.store.calls.noteAnswer('main', pause);
      expect(await fixture.store.calls.stateOf('main')).toBeNull();
    });
  });

  describe('the running state of resyncs', () => {
    const states = async ({ store }: StoreFixture, after = 0, before = Infinity) =>
      (await store.resyncs.states({ after, before: Math.min(before, Number.MAX_SAFE_INTEGER) }, 2)).map(
        ({ id, isRunning }) => [id, isRunning],
      );

    const idOf = async (fixture: StoreFixture, messageId: string) => (await register(fixture, [messageId])).id;

    it('is listed newest first, within a range of numbers', async () => {
      const fixture = await stage(open);
      const [a, b, c] = [await idOf(fixture, 'A'), await idOf(fixture, 'B'), await idOf(fixture, 'C')];
      await fixture.store.resyncs.cancel(b);
      expect(await states(fixture)).toEqual([
        [c, true],
        [b, false],
      ]);
      const [newest, second] = await fixture.store.resyncs.states({ after: 0, before: Number.MAX_SAFE_INTEGER }, 2);
      expect(await states(fixture, 0, second?.number)).toEqual([[a, true]]);
      expect(await states(fixture, newest?.number)).toEqual([]);
      expect(await fixture.store.resyncs.stillRunning([a, b, c, 'rsy_none'])).toEqual(new Set([a, c]));
    });

    it('includes a resync whose registration is still in progress', async () => {
      const fixture = await stage(open);
      const ids = Array.from({ length: 5000 }, (_, at) => `m-${at}`);
      const registered = fixture.store.resyncs.register({ ...REQUEST, windowSeconds: 60, messageIds: ids });
      while ((await states(fixture)).length === 0) await nextTick();
      expect(await fixture.store.resyncs.list({ limit: 1, cursor: null })).toMatchObject({ data: [] });
      const [[id, isRunning] = []] = await states(fixture);
      expect([isRunning, (await registered).id]).toEqual([true, id]);
    });
  });
}
