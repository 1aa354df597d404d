import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { openStore } from '../../src/store/open.js';
import type { Channel } from '../../src/model.js';
import type { WhapiResult } from '../../src/whapi/client.js';
import { createCallScheduler } from '../../src/whapi/scheduler.js';
import type { CallScheduler, SchedulerOptions } from '../../src/whapi/scheduler.js';
import type { Health } from '../../src/whapi/wire.js';
import { temporaryFolder } from '../support/files.js';
import { channel } from '../support/store.js';
import { QUICK_RESYNC, until } from '../support/intervals.js';
import type { Store } from '../../src/store/store.js';

interface Stage {
  readonly store: Store;
  readonly scheduler: CallScheduler;
  /** What was done, in order. */
  readonly done: string[];
  /** One of the gateway's own calls that is due. */
  own(name: string, answer?: () => Promise<void>): Promise<void>;
}

async function stage(settings: Partial<Channel> = {}, more: Partial<SchedulerOptions> = {}): Promise<Stage> {
  const store = await openStore({ engine: 'sqlite', file: join(temporaryFolder(), 'gateway.db') }, systemEffects);
  onTestFinished(async () => await store.close());
  await store.registry.addChannel(channel('main', settings));
  const done: string[] = [];
  const getHealth = async (): Promise<WhapiResult<Health>> => {
    done.push('check');
    return await Promise.resolve(AUTH);
  };
  const scheduler = createCallScheduler({
    ...{ store, whapi: { getHealth, destroy: async () => await Promise.resolve() }, openSecret: String },
    ...{
      intervals: QUICK_RESYNC,
      holder: 'one',
      effects: systemEffects,
      onError: (error: unknown) => void done.push(String(error)),
    },
    ...more,
  });
  onTestFinished(async () => await scheduler.stop(0, Promise.resolve()));
  const own: Stage['own'] = async (name, answer = async () => await Promise.resolve()) =>
    await scheduler.forWorker('main', 'run', {
      due: async () => await Promise.resolve({ dueAt: 0, askDueAt: null }),
      make: async () => {
        await store.calls.countCall('main');
        done.push(name);
        await answer();
      },
    });
  return { store, scheduler, done, own };
}

const AUTH: WhapiResult<Health> = {
  kind: 'found',
  body: { start_at: 0, uptime: 0, status: { code: 4, text: 'AUTH' } },
  date: null,
};
const BUSY: WhapiResult<Health> = { kind: 'busy', reason: '429', retryAfter: '3600' };

/** A promise that the test resolves. */
function later(): { readonly ended: Promise<void>; end(): void } {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  return { ended, end: () => end() };
}

describe('the calls of one channel', () => {
  it('are made in the order of the requests, for all callers', async () => {
    const { scheduler, done, own } = await stage();
    const first = later();
    const running = own('run', async () => await first.ended);
    await until(() => expect(done).toEqual(['run']));
    expect(scheduler.underWay('main')?.by).toBe('run');
    const calls = [
      running,
      scheduler.forClient('main', 5000, async () => await Promise.resolve(done.push('client'))),
      scheduler.forPerson(channel('main'), 'doctor', async () => await Promise.resolve((done.push('doctor'), AUTH))),
    ];
    first.end();
    await Promise.all(calls);
    expect(done).toEqual(['run', 'client', 'doctor']);
    await until(() => expect(scheduler.underWay('main')).toBeNull());
  });

  it("keep the spacing and order of the gateway's own calls, while a client's call does not wait", async () => {
    const { scheduler, done, own } = await stage({ resyncSpacingMs: 300 });
    await own('1');
    const rest = [own('2'), own('3')];
    await scheduler.forClient('main', 5000, async () => await Promise.resolve(done.push('client')));
    expect(done).toEqual(['1', 'client']);
    await Promise.all(rest);
    expect(done).toEqual(['1', 'client', '2', '3']);
  });
});

describe('the channel state from an answer', () => {
  it.each(['connect', 'doctor'] as const)("to %s also pauses the gateway's next call", async (by) => {
    const { store, scheduler, done, own } = await stage();
    await scheduler.forPerson(channel('main'), by, async () => await Promise.resolve(BUSY));
    await own('run');
    expect(done).toEqual([]);
    const pause = (await store.calls.stateOf('main'))?.pause;
    expect(pause).toMatchObject({ code: 'busy' });
    expect(pause?.nextCheckAt).toBeGreaterThan(systemEffects.now() + 3_500_000);
  });

  it("is read when a call's turn comes, including answers since its request", async () => {
    const { store, scheduler, done, own } = await stage();
    const client = later();
    const pause = { code: 'busy', reason: '429', nextCheckAt: systemEffects.now() + 3_600_000 } as const;
    const asked = scheduler.forClient('main', 5000, async () => {
      await client.ended;
      await store.calls.noteAnswer('main', pause);
    });
    const run = own('run');
    client.end();
    await Promise.all([asked, run]);
    expect(done).toEqual([]);
  });

  it("ends its pause with a successful health check after the pause's time", async () => {
    const { store, done, own } = await stage();
    const pause = { code: 'not_ready', reason: 'QR', nextCheckAt: systemEffects.now() } as const;
    await store.calls.noteAnswer('main', pause);
    await own('run');
    await own('run');
    expect(done).toEqual(['check', 'run']);
    expect((await store.calls.stateOf('main'))?.pause).toBeNull();
  });
});

describe('the daily budget', () => {
  it("stops the gateway's own calls, while calls of connect and doctor are counted and still made", async () => {
    const { store, scheduler, done, own } = await stage({ dailyCallBudget: 2 });
    const ask = async (): Promise<WhapiResult<Health>> => await Promise.resolve((done.push('doctor'), AUTH));
    await scheduler.forPerson(channel('main'), 'doctor', ask);
    await own('1');
    await own('2');
    await scheduler.forPerson(channel('main'), 'doctor', ask);
    expect(done).toEqual(['doctor', '1', 'doctor']);
    expect((await store.calls.stateOf('main'))?.callsToday).toBe(3);
  });
});

describe('an interactive call', () => {
  it('reports who holds the turn instead of waiting forever', async () => {
    const { scheduler } = await stage({}, { waitTimeoutMs: 30 });
    const client = later();
    const asked = scheduler.forClient('main', 60_000, async () => await client.ended);
    const answer = await scheduler.forPerson(channel('main'), 'doctor', async () => await Promise.resolve(AUTH));
    expect(answer).toMatchObject({ kind: 'unreachable', reason: expect.stringContaining("a client's own") as unknown });
    client.end();
    await asked;
  });

  it('is not made if it is withdrawn before its turn', async () => {
    const { scheduler, done } = await stage();
    const client = later();
    const asked = scheduler.forClient('main', 60_000, async () => await client.ended);
    const withdrawn = new AbortController();
    const call = async (): Promise<WhapiResult<Health>> => await Promise.resolve((done.push('probe'), AUTH));
    const answers = [scheduler.forPerson(channel('main'), 'probe', call, withdrawn.signal)];
    withdrawn.abort();
    answers.push(scheduler.forPerson(channel('main'), 'probe', call, withdrawn.signal));
    expect(await Promise.all(answers)).toMatchObject([{ kind: 'unreachable' }, { kind: 'unreachable' }]);
    client.end();
    await asked;
    await scheduler.forClient('main', 60_000, async () => await Promise.resolve());
    expect(done).toEqual([]);
  });
});

describe('a stop', () => {
  it("lets calls in flight finish with their follow-ups, and starts none of the gateway's own", async () => {
    const { scheduler, done, own } = await stage();
    const first = later();
    const client = later();
    const running = own('1', async () => await first.ended);
    await until(() => expect(done).toEqual(['1']));
    const queued = own('2');
    const stopped = scheduler.stop(5000, client.ended).then(() => done.push('stopped'));
    first.end();
    await Promise.all([running, queued]);
    await scheduler.forClient('main', 5000, async () => await Promise.resolve(done.push('client')));
    client.end();
    await stopped;
    expect(done).toEqual(['1', 'client', 'stopped']);
  });
});
