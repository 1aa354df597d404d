import { expect, it, onTestFinished } from 'vitest';
import { startResyncNotices } from '../../src/resync/notices.js';
import { startClock } from '../support/clock.js';
import { until } from '../support/intervals.js';
import type { ResyncState, ResyncView } from '../../src/store/resyncs.js';

/** A store with these resyncs, newest first, and the ends that were logged. */
function startNotices(states: ResyncState[]) {
  const ends: string[] = [];
  const views: string[] = [];
  const watched = new Set<string>();
  const running = (): Set<string> => new Set(states.flatMap(({ id, isRunning }) => (isRunning ? id : [])));
  const resyncs = {
    pendingCalls: async () => await Promise.resolve([]),
    stillRunning: async (ids: readonly string[]) => {
      ids.forEach((id) => watched.add(id));
      return await Promise.resolve(running());
    },
    states: async ({ after, before }: { after: number; before: number }, limit: number) =>
      await Promise.resolve(states.filter(({ number }) => number > after && number < before).slice(0, limit)),
    get: async (id: string) => {
      views.push(id);
      return await Promise.resolve({ id, channel: 'main', status: 'finished', counts: {} } as ResyncView);
    },
  };
  const clock = startClock();
  const log = {
    info: (fields: object) => void ends.push((fields as { resync: string }).resync),
    warn: () => undefined,
  };
  const onError = (error: unknown): void => expect.fail(String(error));
  const notices = startResyncNotices({ store: { resyncs }, log, effects: clock.effects, onError });
  onTestFinished(notices.stop);
  return { clock, ends, views, watched, wake: notices.wake };
}

function stateOf(number: number, isRunning: boolean): ResyncState {
  return { number, id: `r-${number}`, isRunning };
}

it('logs the end of a long resync even if a later, short one finishes during its registration', async () => {
  const states = [stateOf(1, true)];
  const { clock, ends, wake } = startNotices(states);
  states.unshift(stateOf(2, false));
  wake();
  await until(() => expect(ends).toEqual(['r-2']));
  states[1] = stateOf(1, false);
  clock.advance(1000);
  await until(() => expect(ends).toEqual(['r-2', 'r-1']));
});

it("loads a resync's counts once, at its end, and skips resyncs that ended before the start", async () => {
  const states = Array.from({ length: 250 }, (_, at) => stateOf(250 - at, at >= 200));
  const { clock, ends, views, watched } = startNotices(states);
  await until(() => expect(watched.size).toBe(50));
  states[249] = stateOf(1, false);
  await until(() => {
    clock.advance(1000);
    expect(ends).toEqual(['r-1']);
  });
  expect(views).toEqual(['r-1']);
});
