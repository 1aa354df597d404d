import { describe, expect, it, onTestFinished } from 'vitest';
import { startLoop } from '../src/loop.js';
import type { Loop } from '../src/loop.js';

const IDLE_MS = 1000;
const NOW = Date.UTC(2026, 0, 1);

/** A turn that the test ends, with the time of the next work or with an error. */
interface Turn {
  end(dueAt: number | null): void;
  fail(error: Error): void;
}

interface Pause {
  readonly ms: number;
  /** Ends the pause. */
  pass(): void;
}

interface Watched {
  readonly loop: Loop;
  readonly turns: Turn[];
  readonly pauses: Pause[];
  readonly errors: unknown[];
}

describe('a loop', () => {
  it('takes its first turn at once', () => {
    expect(watch().turns).toHaveLength(1);
  });

  it.each([
    ['until the next work is due', NOW + 300, 300],
    ['no longer than its idle time', NOW + 60_000, IDLE_MS],
    ['for its idle time if no work is known', null, IDLE_MS],
    ['not at all if work is already due', NOW, 0],
  ])('pauses %s', async (_how, dueAt, ms) => {
    const { turns, pauses } = watch();
    turns[0]?.end(dueAt);
    await settled();
    expect(pauses.map((pause) => pause.ms)).toEqual([ms]);
    expect(turns).toHaveLength(1);
    pauses[0]?.pass();
    await settled();
    expect(turns).toHaveLength(2);
  });

  it('does not pause if work is overdue', async () => {
    const { turns, pauses } = watch();
    turns[0]?.end(NOW - 5000);
    await settled();
    expect(pauses[0]?.ms).toBeLessThanOrEqual(0);
  });

  it('takes a turn at once when woken from its pause', async () => {
    const { loop, turns } = watch();
    turns[0]?.end(null);
    await settled();
    loop.wake();
    await settled();
    expect(turns).toHaveLength(2);
  });

  it('does not lose a wake-up during a turn: the next turn follows without a pause', async () => {
    const { loop, turns, pauses } = watch();
    loop.wake();
    turns[0]?.end(null);
    await settled();
    expect({ turns: turns.length, pauses: pauses.length }).toEqual({ turns: 2, pauses: 0 });
    turns[1]?.end(null);
    await settled();
    expect({ turns: turns.length, pauses: pauses.length }).toEqual({ turns: 2, pauses: 1 });
  });

  it('takes one turn at a time, however often it is woken', async () => {
    const { loop, turns } = watch();
    for (let hint = 0; hint < 10; hint++) loop.wake();
    await settled();
    expect(turns).toHaveLength(1);
    turns[0]?.end(null);
    await settled();
    expect(turns).toHaveLength(2);
  });

  it('reports a failed turn and takes the next one after its idle time', async () => {
    const { turns, pauses, errors } = watch();
    const error = new Error('The store is away.');
    turns[0]?.fail(error);
    await settled();
    expect(errors).toEqual([error]);
    expect(pauses.map(({ ms }) => ms)).toEqual([IDLE_MS]);
    pauses[0]?.pass();
    await settled();
    expect(turns).toHaveLength(2);
  });
});

describe('a stopped loop', () => {
  it('waits for the turn in progress and takes no other', async () => {
    const { loop, turns } = watch();
    const events: string[] = [];
    const stopping = loop.stop().then(() => events.push('stopped'));
    await settled();
    events.push('the turn ends');
    turns[0]?.end(NOW);
    await stopping;
    expect(events).toEqual(['the turn ends', 'stopped']);
    expect(turns).toHaveLength(1);
  });

  it('does not wait for the end of its pause', async () => {
    const { loop, turns } = watch();
    turns[0]?.end(null);
    await settled();
    await loop.stop();
    expect(turns).toHaveLength(1);
  });

  it('also stops when the turn in progress fails', async () => {
    const { loop, turns, errors } = watch();
    const stopping = loop.stop();
    turns[0]?.fail(new Error('The store is away.'));
    await stopping;
    expect([turns.length, errors.length]).toEqual([1, 1]);
  });

  it('ignores wake-ups, and may be stopped twice', async () => {
    const { loop, turns } = watch();
    turns[0]?.end(null);
    await loop.stop();
    loop.wake();
    await loop.stop();
    await settled();
    expect(turns).toHaveLength(1);
  });
});

/** A loop whose turns and pauses the test controls. */
function watch(): Watched {
  const turns: Turn[] = [];
  const pauses: Pause[] = [];
  const errors: unknown[] = [];
  const loop = startLoop({
    turn: async () => await new Promise<number | null>((resolve, reject) => turns.push({ end: resolve, fail: reject })),
    onError: (error) => errors.push(error),
    idleMs: IDLE_MS,
    effects: {
      now: () => NOW,
      sleep: async (ms, signal) => {
        if (signal?.aborted) return;
        await new Promise<void>((resolve) => {
          pauses.push({ ms, pass: resolve });
          signal?.addEventListener('abort', () => resolve());
        });
      },
    },
  });
  onTestFinished(() => {
    void loop.stop();
    for (const turn of turns) turn.end(null);
  });
  return { loop, turns, pauses, errors };
}

/** Resolves when everything that follows immediately has happened. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
