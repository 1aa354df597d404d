import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import type { Base } from '../../src/store/postgres/base.js';
import { ChannelWork } from '../../src/store/postgres/channel-work.js';
import { connect } from '../../src/store/postgres/engine.js';
import { PostgresMessageClaims } from '../../src/store/postgres/message-claims.js';
import { locationOf, postgresStores, useDatabases } from '../support/postgres/fixture.js';
import { manualClock, messages, MINUTE, refusal, register, SECOND, stageTwo } from '../support/store.js';
import type { StoreFixture, TwoHandles } from '../support/store.js';

const databases = useDatabases();
const { openTwo } = postgresStores(databases);

const IDS = Array.from({ length: 10_000 }, (_, index) => `M${index}`);
const IDEMPOTENCY = { key: 'a key', fingerprint: 'a fingerprint' };
const ALL_NUMBERS = { after: 0, before: Number.MAX_SAFE_INTEGER };

/** Two replicas. The first one stopped in the middle of a registration. */
async function withInterrupted(): Promise<TwoHandles> {
  const handles = await stageTwo(openTwo);
  const [one, two] = handles;
  const registering = register(one, IDS, { idempotency: IDEMPOTENCY });
  const failed = expect(registering).rejects.toThrow();
  while ((await two.store.resyncs.states(ALL_NUMBERS, 1)).length === 0) await nextTurn();
  await one.restart();
  await failed;
  return handles;
}

async function registeredNumbers({ store }: StoreFixture): Promise<number> {
  return (await store.resyncs.states(ALL_NUMBERS, 9)).length;
}

it('I2: a registration that its replica did not complete ends a minute later, and its messages are new', async () => {
  const [, two] = await withInterrupted();
  two.clock.advance(MINUTE - 1);
  await two.store.resyncs.closeWindows();
  expect(await two.record(messages('M0'))).toEqual(['restored']);
  two.clock.advance(1);
  await two.store.resyncs.closeWindows();
  expect(await two.record(messages('M1'))).toEqual(['new']);
  expect(await registeredNumbers(two)).toBe(0);
});

it('a registration that its replica did not complete is made anew by the same request', async () => {
  const [one, two] = await withInterrupted();
  two.clock.advance(MINUTE);
  expect(await register(two, IDS, { idempotency: IDEMPOTENCY })).toMatchObject({ counts: { queued: 10_000 } });
  expect(await registeredNumbers(one)).toBe(1);
});

it('a channel has a limited number of claims; those that have ended make room', async () => {
  const clock = manualClock();
  const base = await connect(locationOf(await databases.create()), systemEffects, clock.now);
  const claims = new PostgresMessageClaims(base, 2);
  const claim = async (messageId: string, channel = 'main') =>
    await claims.claim({ channel, messageId, owner: 'one', ttlSeconds: MINUTE / SECOND });
  for (const id of ['A', 'B', 'B']) await claim(id);
  await claim('C', 'other');
  await expect(claim('C')).rejects.toEqual(refusal('GW_TOO_MANY_CLAIMS'));
  await claims.release({ channel: 'main', messageId: 'A', owner: 'one' });
  await claim('C');
  await expect(claim('D')).rejects.toEqual(refusal('GW_TOO_MANY_CLAIMS'));
  clock.advance(MINUTE);
  expect(await claim('D')).toMatchObject({ isRenewal: false });
  await base.db.end();
});

it('work on a channel that has waited for more than ten seconds fails at once', async () => {
  let time = 0;
  const stuck = new AbortController();
  const db = { transaction: async (work: () => Promise<string>) => await work() };
  const channels = new ChannelWork({ db, effects: { monotonic: () => time } } as unknown as Base);
  const first = channels.run('main', async () => (await once(stuck.signal, 'abort'), 'late'));
  const waiting = channels.run('main', async () => await Promise.resolve('done'));
  await nextTurn();
  time = 10 * SECOND + 1;
  stuck.abort();
  expect(await first).toBe('late');
  await expect(waiting).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
  expect(await channels.run('main', async () => await Promise.resolve('done'))).toBe('done');
});
