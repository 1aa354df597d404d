import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import type { Channel } from '../../src/model.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/store.js';
import type { WhapiResult } from '../../src/whapi/client.js';
import { createCallScheduler } from '../../src/whapi/scheduler.js';
import type { CallScheduler } from '../../src/whapi/scheduler.js';
import type { Health } from '../../src/whapi/wire.js';
import { temporaryFolder } from '../support/files.js';
import { QUICK_RESYNC, until } from '../support/intervals.js';
import { channel } from '../support/store.js';

const AUTH: WhapiResult<Health> = {
  kind: 'found',
  body: { start_at: 0, uptime: 0, status: { code: 4, text: 'AUTH' } },
  date: null,
};
/** How long each call takes. */
const CALL_MS = 5;

interface Call {
  readonly by: string;
  readonly from: number;
  readonly until: number;
}

interface Stage {
  readonly store: Store;
  /** As in two processes on one store. */
  readonly one: CallScheduler;
  readonly two: CallScheduler;
  readonly errors: unknown[];
  /** The calls that Whapi got, in the order of their ends. */
  readonly calls: Call[];
  /** Answers a call of anyone after a few milliseconds. */
  whapi(by: string): Promise<WhapiResult<Health>>;
  /** One of the gateway's own calls that is due. */
  own(scheduler: CallScheduler, by: 'run' | 'audit'): Promise<void>;
}

async function stage(settings: Partial<Channel> = {}): Promise<Stage> {
  const store = await openStore({ engine: 'sqlite', file: join(temporaryFolder(), 'gateway.db') }, systemEffects);
  onTestFinished(async () => await store.close());
  await store.registry.addChannel(channel('main', settings));
  const [calls, errors]: [Call[], unknown[]] = [[], []];
  const whapi: Stage['whapi'] = async (by) => {
    const from = systemEffects.monotonic();
    await systemEffects.sleep(CALL_MS);
    calls.push({ by, from, until: systemEffects.monotonic() });
    return AUTH;
  };
  const client = { getHealth: async () => await whapi('check'), destroy: async () => await Promise.resolve() };
  const start = (holder: string): CallScheduler => {
    const scheduler = createCallScheduler({
      ...{ store, holder, whapi: client, openSecret: String, intervals: QUICK_RESYNC, effects: systemEffects },
      onError: (error) => errors.push(error),
    });
    onTestFinished(async () => await scheduler.stop(0, Promise.resolve()));
    return scheduler;
  };
  const own: Stage['own'] = async (scheduler, by) =>
    await scheduler.forWorker('main', by, {
      due: async () => await Promise.resolve({ dueAt: 0, askDueAt: null }),
      make: async () => {
        await whapi(by);
      },
    });
  return { store, one: start('one'), two: start('two'), errors, calls, whapi, own };
}

/** The pauses between one call and the next one; negative: they overlap. */
function pausesBetween(calls: readonly Call[]): number[] {
  const inOrder = calls.toSorted((a, b) => a.from - b.from);
  return inOrder.slice(1).map(({ from }, at) => from - (inOrder[at]?.until ?? 0));
}

describe('two processes on one store', () => {
  it('never call Whapi twice at once for a channel, whoever makes the calls', async () => {
    const { one, two, calls, errors, whapi, own } = await stage();
    const made = [one, two, one, two].flatMap((scheduler) => [
      own(scheduler, 'run'),
      scheduler.forClient('main', 5000, async () => await whapi('client')),
      own(scheduler, 'audit'),
      scheduler.forPerson(channel('main'), 'doctor', async () => await whapi('doctor')),
    ]);
    await Promise.all(made);
    expect(calls.map(({ by }) => by).sort()).toEqual(
      ['audit', 'client', 'doctor', 'run'].flatMap((by) => [by, by, by, by]),
    );
    expect(Math.min(...pausesBetween(calls))).toBeGreaterThanOrEqual(0);
    expect(errors).toEqual([]);
  });

  it('keep the spacing together', async () => {
    const { one, two, calls, own } = await stage({ resyncSpacingMs: 300 });
    await Promise.all([one, two, one].map(async (scheduler) => await own(scheduler, 'run')));
    expect(calls).toHaveLength(3);
    expect(Math.min(...pausesBetween(calls))).toBeGreaterThanOrEqual(298); // two clocks, rounded to milliseconds
  });

  it('check a channel after a webhook said to one of them that it is away', async () => {
    const { one, two, calls, own } = await stage();
    await one.noteChannelState('main', 'QR');
    await own(two, 'run');
    await own(two, 'run');
    expect(calls.map(({ by }) => by)).toEqual(['check', 'run']);
  });

  it('go on when the turn of a process that is gone has ended', async () => {
    const { store, two, calls, own } = await stage();
    await store.turns.take('main', 'gone', 300);
    await own(two, 'run');
    expect(calls).toHaveLength(1);
  });

  it('say that someone else is calling instead of waiting forever', async () => {
    const { store, calls, whapi } = await stage();
    await store.turns.take('main', 'other', 60_000);
    const scheduler = createCallScheduler({
      ...{ store, holder: 'three', openSecret: String, intervals: QUICK_RESYNC, effects: systemEffects },
      ...{ whapi: { getHealth: async () => await whapi('check'), destroy: async () => await Promise.resolve() } },
      ...{ waitTimeoutMs: 30, onError: () => undefined },
    });
    const answer = await scheduler.forPerson(channel('main'), 'doctor', async () => await whapi('doctor'));
    expect(answer).toMatchObject({ kind: 'unreachable', reason: expect.stringContaining('another caller') as unknown });
    await scheduler.stop(0, Promise.resolve());
    expect(calls).toEqual([]);
  });

  it('stop without waiting for a turn that another one holds', async () => {
    const { store, one, calls, own, whapi } = await stage();
    await store.turns.take('main', 'other', 60_000);
    const run = own(one, 'run');
    const client = one.forClient('main', 5000, async () => await whapi('client'));
    const refused = expect(client).rejects.toMatchObject({ code: 'GW_STORE_UNAVAILABLE' });
    await one.stop(0, Promise.resolve());
    await Promise.all([run, refused]);
    await until(() => expect(one.underWay('main')).toBeNull());
    expect(calls).toEqual([]);
  });
});
