import { describe, expect, it } from 'vitest';
import { channel, LEASE, MINUTE, register, SECOND, stageTwo, START } from '../../support/store.js';
import type { OpenTwo, StoreFixture } from '../../support/store.js';
import type { Store } from '../../../src/store/store.js';
import type { ChannelTurn } from '../../../src/store/turns.js';

/** Two stores on one database, with the channel `main` and a target; `fixture` is the handle of `a`. */
export async function stageStores(openTwo: OpenTwo): Promise<{ fixture: StoreFixture; a: Store; b: Store }> {
  const [fixture, other] = await stageTwo(openTwo);
  return { fixture, a: fixture.store, b: other.store };
}

/** The turn of the channel `main` for two minutes. */
async function take(store: Store, holder: string): Promise<ChannelTurn> {
  const turn = await store.turns.take('main', holder, LEASE);
  if (!turn) throw new Error('The turn is held.');
  return turn;
}

/** The channels with calls that a holder may make. */
async function channelsFor(store: Store, holder: string): Promise<string[]> {
  return (await store.resyncs.pendingCalls(holder)).map((calls) => calls.channel.name);
}

/** Turns at calling Whapi, and what processes tell each other about a channel. */
export function turnsContract(openTwo: OpenTwo): void {
  describe('the turn of a channel', () => {
    it('is held by one at a time, whoever asks', async () => {
      const { a, b } = await stageStores(openTwo);
      const turn = await take(a, 'one');
      expect(await b.turns.take('main', 'two', LEASE)).toBeNull();
      expect(await a.turns.take('main', 'one', LEASE)).toBeNull();
      await a.turns.end(turn, false);
      await take(b, 'two');
    });

    it('is given to one of many that ask at the same time', async () => {
      const { a, b } = await stageStores(openTwo);
      const asked = [a, b, a, b].map(async (store, at) => await store.turns.take('main', `holder ${at}`, LEASE));
      expect((await Promise.all(asked)).filter((turn) => turn !== null)).toHaveLength(1);
    });

    it('is a matter of each channel', async () => {
      const { a, b } = await stageStores(openTwo);
      await a.registry.addChannel(channel('second'));
      await take(a, 'one');
      expect(await b.turns.take('second', 'two', LEASE)).toMatchObject({ channel: 'second' });
    });

    it('is free again when its lease ends, and a late end then changes nothing', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      const late = await take(a, 'one');
      fixture.clock.advance(LEASE - 1);
      expect(await b.turns.take('main', 'two', LEASE)).toBeNull();
      fixture.clock.advance(1);
      await take(b, 'two');
      await a.turns.end(late, true);
      expect(await a.turns.take('main', 'one', LEASE)).toBeNull();
    });

    it('tells when the last turn with a call of the gateway ended, whoever had it', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      const first = await take(a, 'one');
      expect(first.lastEndedAt).toBeNull();
      fixture.clock.advance(SECOND);
      await a.turns.end(first, true);
      fixture.clock.advance(SECOND);
      const second = await take(b, 'two');
      expect(second.lastEndedAt).toBe(START + SECOND);
      await b.turns.end(second, false);
      expect((await take(a, 'one')).lastEndedAt).toBe(START + SECOND);
    });

    it('keeps its length when the clock is set back', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      await take(a, 'one');
      fixture.clock.advance(-60 * MINUTE);
      await a.upkeep.clockSetBack(60 * MINUTE);
      fixture.clock.advance(LEASE - 1);
      expect(await b.turns.take('main', 'two', LEASE)).toBeNull();
      fixture.clock.advance(1);
      await take(b, 'two');
    });

    it('leaves the calls of its channel to its holder', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      await register(fixture, ['A']);
      const turn = await take(a, 'one');
      expect([await channelsFor(a, 'one'), await channelsFor(b, 'two')]).toEqual([['main'], []]);
      expect(await b.resyncs.pendingCalls()).toHaveLength(1);
      await a.turns.end(turn, false);
      expect(await channelsFor(b, 'two')).toEqual(['main']);
    });
  });

  describe('news of a channel', () => {
    it('reaches everyone until one of them checks the channel', async () => {
      const { a, b } = await stageStores(openTwo);
      await a.calls.noteNews('main', 'away');
      await a.calls.noteNews('main', 'no_answer');
      await a.calls.noteNews('main', 'away');
      expect((await b.calls.stateOf('main'))?.news.toSorted()).toEqual(['away', 'no_answer']);
      expect((await b.calls.takeNews('main')).toSorted()).toEqual(['away', 'no_answer']);
      expect((await a.calls.stateOf('main'))?.news).toEqual([]);
    });

    it('is that the channel is away, although it was back before', async () => {
      const { a, b } = await stageStores(openTwo);
      await a.calls.noteNews('main', 'back');
      await a.calls.noteNews('main', 'away');
      expect((await b.calls.stateOf('main'))?.news).toEqual(['away']);
    });

    it('is not that the channel is back, once a call was answered', async () => {
      const { a, b } = await stageStores(openTwo);
      await a.calls.noteNews('main', 'back');
      await a.calls.noteAnswer('main', null);
      expect((await b.calls.stateOf('main'))?.news).toEqual([]);
    });

    it('is forgotten with its channel', async () => {
      const { a, b } = await stageStores(openTwo);
      await a.calls.noteNews('main', 'away');
      await a.registry.removeChannel('main');
      await a.registry.addChannel(channel('main'));
      expect((await b.calls.stateOf('main'))?.news).toEqual([]);
    });
  });
}
