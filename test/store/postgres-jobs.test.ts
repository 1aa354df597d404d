import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { openPostgresStore } from '../../src/store/postgres/engine.js';
import { locationOf, useDatabases } from '../support/postgres/fixture.js';
import { proxyTo } from '../support/postgres/proxy.js';
import type { Proxy } from '../support/postgres/proxy.js';
import { messages, openFixture, stage } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';

const databases = useDatabases();

/** A store with a dead delivery, and a second connection to its database. */
async function stageDead(): Promise<{ fixture: StoreFixture; other: pg.Client; proxy: Proxy }> {
  const url = await databases.create();
  const proxy = await proxyTo(url);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  onTestFinished(async () => await other.end());
  const fixture = await stage(
    async () =>
      await openFixture(async (effects) => await openPostgresStore(locationOf(proxy.url), effects, effects.now)),
  );
  await fixture.record(messages('A'));
  await fixture.settle(await fixture.claimOne(), 'dead');
  return { fixture, other, proxy };
}

it('a job waits for the one before it, also while another replica takes a step of that one', async () => {
  const { fixture, other } = await stageDead();
  const { jobs } = fixture.store;
  await jobs.add({ kind: 'retry', filter: { status: 'dead' } });
  const second = await jobs.add({ kind: 'retry', filter: { status: 'dead' } });
  await other.query('BEGIN');
  await other.query('SELECT number FROM gateway.jobs ORDER BY number LIMIT 1 FOR UPDATE');
  expect(await jobs.step()).toBeNull();
  expect(await jobs.get(second.id)).toMatchObject({ status: 'running' });
  await other.query('ROLLBACK');
  while ((await jobs.step()) !== null);
  expect((await jobs.list({ limit: 9, cursor: null })).data.map(({ done }) => done)).toEqual([0, 1]);
});

it('a job is added once, although the answer to its commit is lost', async () => {
  const { fixture, proxy } = await stageDead();
  const { jobs } = fixture.store;
  proxy.cutAt('COMMIT', 1);
  const { id } = await jobs.add({ kind: 'retry', filter: { status: 'dead' } });
  expect(proxy.cuts).toBe(1);
  expect((await jobs.list({ limit: 9, cursor: null })).data.map((job) => job.id)).toEqual([id]);
});

it('a list of jobs of a channel names those whose filter names it, whatever else the filter contains', async () => {
  const { fixture } = await stageDead();
  const { jobs } = fixture.store;
  const { id } = await jobs.add({ kind: 'release', filter: { messageId: '\0 "channel":"other"', channel: 'main' } });
  const listed = async (channel: string) => (await jobs.list({ limit: 9, cursor: null }, { channel })).data;
  expect([(await listed('main')).map((job) => job.id), await listed('other')]).toEqual([[id], []]);
});
