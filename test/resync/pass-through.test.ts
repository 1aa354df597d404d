import { describe, expect, it, vi } from 'vitest';
import { createPassThrough } from '../../src/resync/pass-through.js';
import type { CallOutcome, PassThrough } from '../../src/resync/pass-through.js';
import { createCallScheduler } from '../../src/whapi/scheduler.js';
import { createWhapiClient } from '../../src/whapi/client.js';
import { systemEffects } from '../../src/effects.js';
import { openStore } from '../../src/store/open.js';
import { onTestFinished } from 'vitest';
import { join } from 'node:path';
import { guardOf } from '../support/guard.js';
import { temporaryFolder } from '../support/files.js';
import { channel } from '../support/store.js';
import { QUICK_RESYNC, until } from '../support/intervals.js';
import type { Store } from '../../src/store/store.js';

const ABOUT = { channel: 'main', messageId: 'm-1' };
const ASKED = { channel: 'main', messageIds: ['m-1'] };
const FOUND = { outcome: { status: 200, body: '', retryAfter: null } };
const MISSING = {
  status: 404,
  body: '{"error":{"code":404,"message":"Specified message not found"}}',
  retryAfter: null,
};

interface Stage {
  readonly store: Store;
  readonly passThrough: PassThrough;
  readonly errors: unknown[];
}

/** The unit under test on a real store with one failing operation. */
async function stage(broken?: 'registerAsked' | 'registerUnlessRecent' | 'settleCall'): Promise<Stage> {
  const errors: unknown[] = [];
  const store = await openStore({ engine: 'sqlite', file: join(temporaryFolder(), 'gateway.db') }, systemEffects);
  onTestFinished(async () => await store.close());
  await store.registry.addChannel(channel('main'));
  if (broken) vi.spyOn(store.resyncs, broken).mockRejectedValue(new Error('the disk is full'));
  const onError = (error: unknown): void => void errors.push(error);
  const scheduler = createCallScheduler({
    ...{
      store,
      whapi: createWhapiClient(guardOf('private')),
      openSecret: String,
      intervals: QUICK_RESYNC,
      holder: 'one',
      effects: systemEffects,
      onError,
    },
  });
  onTestFinished(async () => await scheduler.stop(0, Promise.resolve()));
  const passThrough = createPassThrough({
    store,
    scheduler,
    intervals: QUICK_RESYNC,
    callTimeoutMs: 1000,
    effects: systemEffects,
    onRegistered: () => undefined,
    onError,
  });
  return { store, passThrough, errors };
}

describe('a pass-through resync call', () => {
  it('I2: is not made if the store cannot commit its registration', async () => {
    const { passThrough } = await stage('registerAsked');
    let isMade = false;
    const call = async () => await Promise.resolve(((isMade = true), FOUND));
    await expect(passThrough.makeCall(ASKED, call, () => false)).rejects.toThrow('the disk is full');
    expect(isMade).toBe(false);
  });

  it('is answered even if the store cannot settle it, and stays registered (I2)', async () => {
    const { store, passThrough, errors } = await stage('settleCall');
    expect(
      await passThrough.makeCall(
        ASKED,
        async () => await Promise.resolve(FOUND),
        () => false,
      ),
    ).toBe(FOUND);
    expect(errors).toEqual([new Error('the disk is full')]);
    expect((await store.items.explain('main', 'm-1'))?.resyncs).toMatchObject([{ status: 'requesting' }]);
  });

  it('is neither registered nor made if its client leaves before its turn, and the next call proceeds', async () => {
    const { store, passThrough } = await stage();
    let end = (): void => {
      throw new Error('not begun');
    };
    const first = passThrough.makeCall(
      ASKED,
      async () => await new Promise<typeof FOUND>((ended) => (end = () => ended(FOUND))),
      () => false,
    );
    const gone = passThrough.makeCall(
      { ...ASKED, messageIds: ['m-2'] },
      async () => await Promise.resolve(FOUND),
      () => true,
    );
    const next = passThrough.makeCall(
      { ...ASKED, messageIds: ['m-3'] },
      async () => await Promise.resolve(FOUND),
      () => false,
    );
    await until(async () => expect(await store.items.explain('main', 'm-1')).not.toBeNull());
    await until(() => expect(end).not.toThrow());
    expect(await Promise.all([first, gone, next])).toEqual([FOUND, null, FOUND]);
    expect(await store.items.explain('main', 'm-2')).toBeNull();
  });
});

it.each<[string, CallOutcome, boolean]>([
  ['a 404 with an error text', MISSING, true],
  ['a 404 about the channel', { ...MISSING, body: '{"error":{"code":404,"message":"Channel not found"}}' }, false],
  ["a proxy's page", { ...MISSING, body: '<h1>404</h1>' }, false],
  ['a 400', { ...MISSING, status: 400 }, false],
])('a missing message is resynced depending on the answer: %s (%#)', async (_what, said, wanted) => {
  const { store, passThrough } = await stage();
  const id = await passThrough.resyncIfMissing(ABOUT, said as typeof MISSING, 'message');
  expect(id === null).toBe(!wanted);
  expect((await store.items.explain('main', 'm-1')) === null).toBe(!wanted);
});

it('a failing store does not withhold the answer to a lookup from the client', async () => {
  const { passThrough, errors } = await stage('registerUnlessRecent');
  expect(await passThrough.resyncIfMissing(ABOUT, MISSING, 'message')).toBeNull();
  expect(errors).toEqual([new Error('the disk is full')]);
});
