import { describe, expect, it } from 'vitest';
import type { ResyncCall, ResyncRequest } from '../../../src/ledger/ledger.js';
import type { ResyncMessageView } from '../../../src/ledger/views.js';
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
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

/** The ids of the calls that can be made now, in the order in which they are given. */
async function callsNow(store: Store, prefer: ResyncCall['kind'] = 'resync', channelName = 'main'): Promise<string[]> {
  const made: string[] = [];
  for (;;) {
    const call = await store.ledger.takeCall(channelName, prefer, LEASE);
    if (!call) return made;
    made.push(`${call.kind} ${call.messageId}`);
  }
}

async function messagesOf(store: Store, id: string): Promise<readonly ResyncMessageView[]> {
  return await allPages(2, async (page) => await store.ledger.resyncMessages(id, page));
}

const IDEMPOTENCY = { key: 'key-1', fingerprint: 'print-1' };

/** I2: from the registration to the calls to Whapi, and what came of them. */
export function resyncsContract(open: OpenStore): void {
  describe('registering a resync', () => {
    it('I2: has committed a registration of every id, each once, when it has answered', async () => {
      const store = await stage(open);
      const view = await register(store, ['A', 'B', 'A'], { windowSeconds: 60 });
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
      await store.restart();
      expect(await store.ledger.resync(view.id)).toEqual(view);
      expect((await messagesOf(store, view.id)).map(({ messageId }) => messageId)).toEqual(['A', 'B']);
      expect(await store.record(messages('A', 'B', 'C'))).toEqual(['restored', 'restored', 'new']);
    });

    it('takes ten thousand ids at once', async () => {
      const store = await stage(open);
      const ids = Array.from({ length: 10_000 }, (_, index) => `M${index}`);
      expect(await register(store, ids)).toMatchObject({ counts: { queued: 10_000 } });
      expect(await store.record(messages('M0', 'M9999', 'M10000'))).toEqual(['restored', 'restored', 'new']);
    });

    it('is refused for an unknown channel', async () => {
      const store = await stage(open);
      await expect(register(store, ['A'], { channel: 'nobody' })).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });

    it('under a key that was used gives the resync made then, even at one instant and after a restart', async () => {
      const store = await stage(open);
      const again = async (): Promise<string> => (await register(store, ['A'], { idempotency: IDEMPOTENCY })).id;
      const [one, two] = await Promise.all([again(), again()]);
      await store.restart();
      expect(new Set([one, two, await again()]).size).toBe(1);
      expect((await store.ledger.resyncs({ limit: 9, cursor: null })).data).toHaveLength(1);
    });

    it('under a key that was used for something else is refused and registers nothing', async () => {
      const store = await stage(open);
      await register(store, ['A'], { idempotency: IDEMPOTENCY });
      const other = register(store, ['B'], { idempotency: { ...IDEMPOTENCY, fingerprint: 'print-2' } });
      await expect(other).rejects.toEqual(refusal('GW_IDEMPOTENCY_MISMATCH'));
      expect(await store.record(messages('B'))).toEqual(['new']);
    });

    it('without a key makes a resync each time', async () => {
      const store = await stage(open);
      const ids = [(await register(store, ['A'])).id, (await register(store, ['A'])).id];
      expect((await store.ledger.resyncs({ limit: 9, cursor: null })).data.map(({ id }) => id)).toEqual(ids.reverse());
    });
  });

  describe('the calls to Whapi', () => {
    it('are given in the order of registration, for one channel, with all that a call needs', async () => {
      const store = await stage(open);
      await store.ledger.addChannel(channel('second'));
      const { id } = await register(store, ['A', 'B'], { windowSeconds: 60 });
      store.clock.advance(SECOND);
      await register(store, ['C']);
      await register(store, ['X'], { channel: 'second' });
      expect(await store.ledger.takeCall('main', 'resync', LEASE)).toEqual({
        ...{ kind: 'resync', resyncId: id, position: 0, channel: channel('main'), messageId: 'A' },
        ...{ windowSeconds: 60, registeredAt: START, made: 0 },
      });
      expect(await callsNow(store)).toEqual(['resync B', 'resync C']);
      expect(await callsNow(store, 'resync', 'second')).toEqual(['resync X']);
      expect(await callsNow(store, 'resync', 'nobody')).toEqual([]);
    });

    it('I2: are committed as asked before they are given, so that a crash does not lose the asking', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A'], { windowSeconds: 60 });
      await takeCall(store);
      await store.restart();
      expect(await messagesOf(store, id)).toMatchObject([
        { status: 'queued', calls: 1, askedAt: START, windowClosesAt: null, error: null },
      ]);
      store.clock.advance(DAY);
      expect(await store.record(messages('A'))).toEqual(['restored']);
    });

    it('that a crash cut off are made again when their lease has run out, at the latest', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await takeCall(store);
      await store.restart();
      store.clock.advance(LEASE);
      expect(await store.ledger.pendingCalls()).toHaveLength(1);
      expect(await takeCall(store)).toMatchObject({ kind: 'resync', messageId: 'A', made: 1 });
    });

    it('that nobody settled are made again when their lease has run out, and not before', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await takeCall(store);
      store.clock.advance(LEASE - 1);
      expect(await callsNow(store)).toEqual([]);
      store.clock.advance(1);
      expect(await callsNow(store)).toEqual(['resync A']);
    });

    it('for polls that nobody settled are made again when their lease has run out, and not before', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START });
      await takeCall(store);
      store.clock.advance(LEASE - 1);
      expect(await callsNow(store)).toEqual([]);
      store.clock.advance(1);
      expect(await takeCall(store)).toMatchObject({ kind: 'poll', messageId: 'A', made: 1 });
    });

    it('are never given to two at one instant', async () => {
      const store = await stage(open);
      await register(store, ['A', 'B', 'C']);
      const calls = await Promise.all(Array.from({ length: 9 }, async () => await callsNow(store)));
      expect(calls.flat().sort()).toEqual(['resync A', 'resync B', 'resync C']);
    });

    it.each([
      ['resync', ['resync B', 'poll A']],
      ['poll', ['poll A', 'resync B']],
    ] as const)('of the kind "%s" go first where they are preferred', async (prefer, expected) => {
      const store = await stage(open);
      await register(store, ['A', 'B']);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START });
      expect(await callsNow(store, prefer)).toEqual(expected);
    });

    it('that are to come later are announced with their time and not given before', async () => {
      const store = await stage(open);
      await register(store, ['A', 'B']);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START + 2 * MINUTE });
      await store.ledger.settleCall(await takeCall(store), { status: 'queued', nextAt: START + MINUTE, error: 'Busy' });
      expect(await store.ledger.pendingCalls()).toMatchObject([
        { channel: { name: 'main' }, dueAt: START + MINUTE, askDueAt: START + MINUTE },
      ]);
      expect(await callsNow(store)).toEqual([]);
      store.clock.advance(MINUTE);
      expect(await takeCall(store)).toMatchObject({ kind: 'resync', messageId: 'B', made: 1 });
    });
  });

  describe('what came of a call', () => {
    it.each([
      ['waiting', START + HOUR, null, 'running'],
      ['queued', START + HOUR, 'Busy', 'running'],
      ['failed', null, 'Refused', 'finished'],
    ] as const)('as %s is shown', async (status, nextAt, error, whole) => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status, nextAt, error, closesAt: START + 5 * HOUR });
      const view = { status, error, calls: 1, polls: 0, restoredAt: null, windowClosesAt: START + 5 * HOUR };
      expect(await messagesOf(store, id)).toMatchObject([view]);
      expect(await store.ledger.resync(id)).toMatchObject({ status: whole, counts: { [status]: 1 } });
    });

    it('as found by a poll is restored, with its time and the number of polls', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START });
      const poll = await takeCall(store);
      store.clock.advance(SECOND);
      await store.ledger.settleCall(poll, { status: 'restored', nextAt: null });
      expect(await messagesOf(store, id)).toMatchObject([
        { status: 'restored', restoredAt: START + SECOND, calls: 1, polls: 1, windowClosesAt: START + HOUR },
      ]);
      expect(await store.ledger.resync(id)).toMatchObject({ status: 'finished' });
    });

    it('changes nothing where that call was made again meanwhile', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      const first = await takeCall(store);
      store.clock.advance(LEASE);
      const second = await takeCall(store);
      await store.ledger.settleCall(first, { status: 'failed', nextAt: null, refused: true, error: 'Refused' });
      expect(await messagesOf(store, id)).toMatchObject([{ status: 'requesting', calls: 2, error: null }]);
      await store.ledger.settleCall(second, { status: 'waiting', nextAt: null });
      expect(await messagesOf(store, id)).toMatchObject([{ status: 'waiting', calls: 2 }]);
    });

    it('does not undo that its webhook came meanwhile', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      const call = await takeCall(store);
      await store.record(messages('A'));
      await store.ledger.settleCall(call, { status: 'failed', nextAt: START, refused: true, error: 'Timed out' });
      expect(await messagesOf(store, id)).toMatchObject([{ status: 'restored', restoredAt: START, error: null }]);
      expect(await callsNow(store)).toEqual([]);
    });
  });

  describe('cancelling a resync', () => {
    it('makes no more calls, and says so', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A', 'B', 'C']);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START });
      await takeCall(store);
      expect(await store.ledger.cancelResync(id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 3 } });
      store.clock.advance(LEASE);
      expect(await callsNow(store)).toEqual([]);
      expect(await store.ledger.pendingCalls()).toEqual([]);
    });

    it('does not let the answer of a call that was under way begin it anew', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      const call = await takeCall(store);
      await store.ledger.cancelResync(id);
      await store.ledger.settleCall(call, { status: 'waiting', nextAt: START });
      expect(await callsNow(store)).toEqual([]);
      expect(await store.ledger.resync(id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 1 } });
    });

    it('leaves what was restored restored, and one that is over finished', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await store.record(messages('A'));
      expect(await store.ledger.cancelResync(id)).toMatchObject({ status: 'finished', counts: { restored: 1 } });
      await expect(store.ledger.cancelResync('rsy_nobody')).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('a resync of one message by somebody who asks for it himself', () => {
    it('I2: is committed as asked when it has answered, and nobody else makes its call meanwhile', async () => {
      const store = await stage(open);
      const call = only(await store.ledger.registerAsked(requestOf('A'), LEASE));
      expect(call).toMatchObject({ kind: 'resync', position: 0, messageId: 'A', registeredAt: START, made: 0 });
      expect(await callsNow(store)).toEqual([]);
      const [message] = await messagesOf(store, call.resyncId);
      expect(message).toMatchObject({ status: 'requesting', calls: 1, askedAt: START, windowClosesAt: START + HOUR });
      expect(await store.record(messages('A'))).toEqual(['restored']);
    });

    it('is settled as any other, and its call is made again when nobody settles it', async () => {
      const store = await stage(open);
      const [settled, lost] = [
        only(await store.ledger.registerAsked(requestOf('A'), LEASE)),
        only(await store.ledger.registerAsked(requestOf('B'), LEASE)),
      ];
      await store.ledger.settleCall(settled, { status: 'waiting', nextAt: START + MINUTE });
      store.clock.advance(LEASE);
      expect(await callsNow(store)).toEqual(['resync B', 'poll A']);
      expect(await messagesOf(store, lost.resyncId)).toMatchObject([{ calls: 2 }]);
    });

    it('is refused for a channel that is not there', async () => {
      const { ledger } = await stage(open);
      const request = { ...requestOf('A'), channel: 'nobody' };
      await expect(ledger.registerAsked(request, LEASE)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await expect(ledger.registerUnlessRecent(request, HOUR)).rejects.toEqual(refusal('GW_NOT_FOUND'));
    });
  });

  describe('a resync of one message unless there is a recent one', () => {
    it('is made once, however many ask at one instant, and in each channel', async () => {
      const { ledger } = await stage(open);
      await ledger.addChannel(channel('second'));
      const ask = async (name: string) => await ledger.registerUnlessRecent({ ...requestOf('A'), channel: name }, HOUR);
      const given = await Promise.all([ask('main'), ask('main'), ask('second')]);
      expect(given.map(({ isDue }) => isDue)).toEqual([true, false, true]);
      expect(given[1].resyncId).toBe(given[0].resyncId);
      expect((await ledger.resyncs({ limit: 9, cursor: null })).data).toHaveLength(2);
    });

    it('is made again when the time is over, counted from the registration, whoever made it', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await store.record(messages('A'));
      store.clock.advance(HOUR - 1);
      expect(await store.ledger.registerUnlessRecent(requestOf('A'), HOUR)).toEqual({ resyncId: id, isDue: false });
      store.clock.advance(1);
      await closeWindows(store);
      const { resyncId, isDue } = await store.ledger.registerUnlessRecent(requestOf('A'), HOUR);
      expect([resyncId === id, isDue]).toEqual([false, true]);
    });

    it('joins one that is still to be asked for, and has one asked for again whose last call was made before', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A'], { windowSeconds: DAY / SECOND });
      store.clock.advance(HOUR);
      expect(await store.ledger.registerUnlessRecent(requestOf('A'), HOUR)).toEqual({ resyncId: id, isDue: false });
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START + DAY });
      store.clock.advance(HOUR);
      expect(await store.ledger.registerUnlessRecent(requestOf('A'), HOUR)).toEqual({ resyncId: id, isDue: true });
      expect(await callsNow(store)).toEqual(['resync A']);
    });
  });
}

async function closeWindows({ ledger }: Store): Promise<void> {
  while ((await ledger.closeWindows()) > 0);
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
