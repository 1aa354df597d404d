import { describe, expect, it } from 'vitest';
import {
  allPages,
  channel,
  DAY,
  HOUR,
  LEASE,
  messages,
  MINUTE,
  only,
  refusal,
  register,
  SECOND,
  stage,
  START,
  takeCall,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { ResyncCall, ResyncMessageView, ResyncRequest } from '../../../src/store/resyncs.js';

/** The ids of the calls that are due now, in the order in which they are taken. */
async function callsNow(
  fixture: StoreFixture,
  prefer: ResyncCall['kind'] = 'resync',
  channelName = 'main',
): Promise<string[]> {
  const made: string[] = [];
  for (;;) {
    const call = await fixture.store.resyncs.takeCall(channelName, prefer, LEASE);
    if (!call) return made;
    made.push(`${call.kind} ${call.messageId}`);
  }
}

async function messagesOf(fixture: StoreFixture, id: string): Promise<readonly ResyncMessageView[]> {
  return await allPages(2, async (page) => await fixture.store.resyncs.messages(id, page));
}

const IDEMPOTENCY = { key: 'key-1', fingerprint: 'print-1' };

/** I2: from the registration to the calls to Whapi and their results. */
export function resyncsContract(open: OpenFixture): void {
  describe('registering a resync', () => {
    it('I2: has committed one registration per distinct id once it has answered', async () => {
      const fixture = await stage(open);
      const view = await register(fixture, ['A', 'B', 'A'], { windowSeconds: 60 });
      const none = { requesting: 0, waiting: 0, restored: 0, not_restored: 0, failed: 0, cancelled: 0 };
      const expected = {
        channel: 'main',
        status: 'running',
        deliverUnseen: false,
        windowSeconds: 60,
        createdAt: START,
        finishedAt: null,
      };
      const { progress, ...rest } = view;
      expect(rest).toEqual({ ...expected, id: view.id, counts: { ...none, queued: 2 } });
      expect(progress).toMatchObject({ settledLately: 0, callMs: null, restoreMs: null, ahead: 0, callsToday: 0 });
      await fixture.restart();
      expect(await fixture.store.resyncs.get(view.id)).toEqual(view);
      expect((await messagesOf(fixture, view.id)).map(({ messageId }) => messageId)).toEqual(['A', 'B']);
      expect(await fixture.record(messages('A', 'B', 'C'))).toEqual(['restored', 'restored', 'new']);
    });

    it('accepts ten thousand ids at once', async () => {
      const fixture = await stage(open);
      const ids = Array.from({ length: 10_000 }, (_, index) => `M${index}`);
      expect(await register(fixture, ids)).toMatchObject({ counts: { queued: 10_000 } });
      expect(await fixture.record(messages('M0', 'M9999', 'M10000'))).toEqual(['restored', 'restored', 'new']);
    });

    it('is refused for an unknown channel', async () => {
      const fixture = await stage(open);
      await expect(register(fixture, ['A'], { channel: 'nobody' })).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('with a used idempotency key returns the first resync, also at the same instant and after a restart', async () => {
      const fixture = await stage(open);
      const again = async (): Promise<string> => (await register(fixture, ['A'], { idempotency: IDEMPOTENCY })).id;
      const [one, two] = await Promise.all([again(), again()]);
      await fixture.restart();
      expect(new Set([one, two, await again()]).size).toBe(1);
      expect((await fixture.store.resyncs.list({ limit: 9, cursor: null })).data).toHaveLength(1);
    });

    it('with an idempotency key that was used for another request is refused and registers nothing', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A'], { idempotency: IDEMPOTENCY });
      const other = register(fixture, ['B'], { idempotency: { ...IDEMPOTENCY, fingerprint: 'print-2' } });
      await expect(other).rejects.toEqual(refusal('GW_IDEMPOTENCY_MISMATCH'));
      expect(await fixture.record(messages('B'))).toEqual(['new']);
    });

    it('without an idempotency key creates a resync each time', async () => {
      const fixture = await stage(open);
      const ids = [(await register(fixture, ['A'])).id, (await register(fixture, ['A'])).id];
      expect((await fixture.store.resyncs.list({ limit: 9, cursor: null })).data.map(({ id }) => id)).toEqual(
        ids.reverse(),
      );
    });
  });

  describe('the calls to Whapi', () => {
    it('are taken in the order of registration, per channel, with everything that a call needs', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      const { id } = await register(fixture, ['A', 'B'], { windowSeconds: 60 });
      fixture.clock.advance(SECOND);
      await register(fixture, ['C']);
      await register(fixture, ['X'], { channel: 'second' });
      expect(await fixture.store.resyncs.takeCall('main', 'resync', LEASE)).toEqual({
        ...{ kind: 'resync', resyncId: id, position: 0, channel: channel('main'), messageId: 'A' },
        ...{ windowSeconds: 60, registeredAt: START, made: 0 },
      });
      expect(await callsNow(fixture)).toEqual(['resync B', 'resync C']);
      expect(await callsNow(fixture, 'resync', 'second')).toEqual(['resync X']);
      expect(await callsNow(fixture, 'resync', 'nobody')).toEqual([]);
    });

    it('I2: are committed as asked before they are handed out, so that a crash does not lose the request', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A'], { windowSeconds: 60 });
      await takeCall(fixture);
      await fixture.restart();
      expect(await messagesOf(fixture, id)).toMatchObject([
        { status: 'queued', calls: 1, askedAt: START, windowClosesAt: null, error: null },
      ]);
      fixture.clock.advance(DAY);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
    });

    it('that a crash interrupted are made again once their lease ends, at the latest', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await takeCall(fixture);
      await fixture.restart();
      fixture.clock.advance(LEASE);
      expect(await fixture.store.resyncs.pendingCalls()).toHaveLength(1);
      expect(await takeCall(fixture)).toMatchObject({ kind: 'resync', messageId: 'A', made: 1 });
    });

    it('that were never settled are made again once their lease ends, and not before', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await takeCall(fixture);
      fixture.clock.advance(LEASE - 1);
      expect(await callsNow(fixture)).toEqual([]);
      fixture.clock.advance(1);
      expect(await callsNow(fixture)).toEqual(['resync A']);
    });

    it('for polls that were never settled are made again once their lease ends, and not before', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: START });
      await takeCall(fixture);
      fixture.clock.advance(LEASE - 1);
      expect(await callsNow(fixture)).toEqual([]);
      fixture.clock.advance(1);
      expect(await takeCall(fixture)).toMatchObject({ kind: 'poll', messageId: 'A', made: 1 });
    });

    it('are never handed out twice at the same instant', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A', 'B', 'C']);
      const calls = await Promise.all(Array.from({ length: 9 }, async () => await callsNow(fixture)));
      expect(calls.flat().sort()).toEqual(['resync A', 'resync B', 'resync C']);
    });

    it.each([
      ['resync', ['resync B', 'poll A']],
      ['poll', ['poll A', 'resync B']],
    ] as const)('of the kind "%s" come first when they are preferred', async (prefer, expected) => {
      const fixture = await stage(open);
      await register(fixture, ['A', 'B']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: START });
      expect(await callsNow(fixture, prefer)).toEqual(expected);
    });

    it('that are due later are announced with their time and not handed out before it', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A', 'B']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), {
        status: 'waiting',
        nextAt: START + 2 * MINUTE,
      });
      await fixture.store.resyncs.settleCall(await takeCall(fixture), {
        status: 'queued',
        nextAt: START + MINUTE,
        error: 'Busy',
      });
      expect(await fixture.store.resyncs.pendingCalls()).toMatchObject([
        { channel: { name: 'main' }, dueAt: START + MINUTE, askDueAt: START + MINUTE },
      ]);
      expect(await callsNow(fixture)).toEqual([]);
      fixture.clock.advance(MINUTE);
      expect(await takeCall(fixture)).toMatchObject({ kind: 'resync', messageId: 'B', made: 1 });
    });
  });

  describe('the result of a call', () => {
    it.each([
      ['waiting', START + HOUR, null, 'running'],
      ['queued', START + HOUR, 'Busy', 'running'],
      ['failed', null, 'Refused', 'finished'],
    ] as const)('as %s is shown', async (status, nextAt, error, whole) => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), {
        status,
        nextAt,
        error,
        closesAt: START + 5 * HOUR,
      });
      const view = { status, error, calls: 1, polls: 0, restoredAt: null, windowClosesAt: START + 5 * HOUR };
      expect(await messagesOf(fixture, id)).toMatchObject([view]);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: whole, counts: { [status]: 1 } });
    });

    it('as found by a poll marks the message as restored, with its time and the number of polls', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: START });
      const poll = await takeCall(fixture);
      fixture.clock.advance(SECOND);
      await fixture.store.resyncs.settleCall(poll, { status: 'restored', nextAt: null });
      expect(await messagesOf(fixture, id)).toMatchObject([
        { status: 'restored', restoredAt: START + SECOND, calls: 1, polls: 1, windowClosesAt: START + HOUR },
      ]);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'finished' });
    });

    it('is ignored if the call was made again in the meantime', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      const first = await takeCall(fixture);
      fixture.clock.advance(LEASE);
      const second = await takeCall(fixture);
      await fixture.store.resyncs.settleCall(first, {
        status: 'failed',
        nextAt: null,
        refused: true,
        error: 'Refused',
      });
      expect(await messagesOf(fixture, id)).toMatchObject([{ status: 'requesting', calls: 2, error: null }]);
      await fixture.store.resyncs.settleCall(second, { status: 'waiting', nextAt: null });
      expect(await messagesOf(fixture, id)).toMatchObject([{ status: 'waiting', calls: 2 }]);
    });

    it('does not undo a webhook that came in the meantime', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      const call = await takeCall(fixture);
      await fixture.record(messages('A'));
      await fixture.store.resyncs.settleCall(call, {
        status: 'failed',
        nextAt: START,
        refused: true,
        error: 'Timed out',
      });
      expect(await messagesOf(fixture, id)).toMatchObject([{ status: 'restored', restoredAt: START, error: null }]);
      expect(await callsNow(fixture)).toEqual([]);
    });
  });

  describe('cancelling a resync', () => {
    it('stops further calls and is reported as such', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A', 'B', 'C']);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: START });
      await takeCall(fixture);
      expect(await fixture.store.resyncs.cancel(id)).toMatchObject({
        status: 'cancelled',
        counts: { cancelled: 3 },
      });
      fixture.clock.advance(LEASE);
      expect(await callsNow(fixture)).toEqual([]);
      expect(await fixture.store.resyncs.pendingCalls()).toEqual([]);
    });

    it('is not undone by the answer of a call in progress', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      const call = await takeCall(fixture);
      await fixture.store.resyncs.cancel(id);
      await fixture.store.resyncs.settleCall(call, { status: 'waiting', nextAt: START });
      expect(await callsNow(fixture)).toEqual([]);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 1 } });
    });

    it('leaves restored messages restored, and has no effect on a finished resync', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.record(messages('A'));
      expect(await fixture.store.resyncs.cancel(id)).toMatchObject({
        status: 'finished',
        counts: { restored: 1 },
      });
      await expect(fixture.store.resyncs.cancel('rsy_nobody')).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('a pass-through resync of one message', () => {
    it('I2: is committed as asked once it has answered, and no other caller makes its call meanwhile', async () => {
      const fixture = await stage(open);
      const call = only(await fixture.store.resyncs.registerAsked(requestOf('A'), LEASE));
      expect(call).toMatchObject({ kind: 'resync', position: 0, messageId: 'A', registeredAt: START, made: 0 });
      expect(await callsNow(fixture)).toEqual([]);
      const [message] = await messagesOf(fixture, call.resyncId);
      expect(message).toMatchObject({ status: 'requesting', calls: 1, askedAt: START, windowClosesAt: START + HOUR });
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
    });

    it('is settled like any other, and its call is made again if it is never settled', async () => {
      const fixture = await stage(open);
      const [settled, lost] = [
        only(await fixture.store.resyncs.registerAsked(requestOf('A'), LEASE)),
        only(await fixture.store.resyncs.registerAsked(requestOf('B'), LEASE)),
      ];
      await fixture.store.resyncs.settleCall(settled, { status: 'waiting', nextAt: START + MINUTE });
      fixture.clock.advance(LEASE);
      expect(await callsNow(fixture)).toEqual(['resync B', 'poll A']);
      expect(await messagesOf(fixture, lost.resyncId)).toMatchObject([{ calls: 2 }]);
    });

    it('is refused for an unknown channel', async () => {
      const { store } = await stage(open);
      const request = { ...requestOf('A'), channel: 'nobody' };
      await expect(store.resyncs.registerAsked(request, LEASE)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(store.resyncs.registerUnlessRecent(request, HOUR)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('a resync of one message unless a recent one exists', () => {
    it('is created once per channel, however many callers ask at the same instant', async () => {
      const { store } = await stage(open);
      await store.registry.addChannel(channel('second'));
      const ask = async (name: string) =>
        await store.resyncs.registerUnlessRecent({ ...requestOf('A'), channel: name }, HOUR);
      const given = await Promise.all([ask('main'), ask('main'), ask('second')]);
      expect(given.map(({ isDue }) => isDue)).toEqual([true, false, true]);
      expect(given[1].resyncId).toBe(given[0].resyncId);
      expect((await store.resyncs.list({ limit: 9, cursor: null })).data).toHaveLength(2);
    });

    it('is created again after the given time, counted from the last registration by any caller', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.record(messages('A'));
      fixture.clock.advance(HOUR - 1);
      expect(await fixture.store.resyncs.registerUnlessRecent(requestOf('A'), HOUR)).toEqual({
        resyncId: id,
        isDue: false,
      });
      fixture.clock.advance(1);
      await closeWindows(fixture);
      const { resyncId, isDue } = await fixture.store.resyncs.registerUnlessRecent(requestOf('A'), HOUR);
      expect([resyncId === id, isDue]).toEqual([false, true]);
    });

    it('joins one whose call is still due, and calls again if its last call came before that time', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A'], { windowSeconds: DAY / SECOND });
      fixture.clock.advance(HOUR);
      expect(await fixture.store.resyncs.registerUnlessRecent(requestOf('A'), HOUR)).toEqual({
        resyncId: id,
        isDue: false,
      });
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: START + DAY });
      fixture.clock.advance(HOUR);
      expect(await fixture.store.resyncs.registerUnlessRecent(requestOf('A'), HOUR)).toEqual({
        resyncId: id,
        isDue: true,
      });
      expect(await callsNow(fixture)).toEqual(['resync A']);
    });
  });
}

async function closeWindows({ store }: StoreFixture): Promise<void> {
  while ((await store.resyncs.closeWindows()) > 0);
}

function requestOf(messageId: string): ResyncRequest {
  return {
    channel: 'main',
    messageIds: [messageId],
    deliverUnseen: false,
    windowSeconds: HOUR / SECOND,
    idempotency: null,
  };
}
