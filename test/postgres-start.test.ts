import { expect, it, vi } from 'vitest';
import { migrationsOf } from '../src/store/migrate.js';
import { KEYS } from './support/engines.js';
import { startLocal } from './support/gateway.js';
import { until } from './support/intervals.js';
import { rowsOf, runSql, useDatabases } from './support/postgres/fixture.js';
import { startProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';

// The first test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const databases = useDatabases({});

it('three replicas that start at once on an empty database become ready, and one of them migrates', async () => {
  const env = { ...KEYS, DATABASE_URL: await databases.createBare() };
  const all = await Promise.all([startProcess(env), startProcess(env), startProcess(env)]);
  for (const { client } of all) expect((await client.call('GET', '/readyz')).status).toBe(200);
  const rows = await rowsOf(env.DATABASE_URL, 'SELECT version FROM gateway.schema');
  expect(rows).toEqual([{ version: migrationsOf('postgres').at(-1)?.version }]);
  await all[0].client.addChannel();
  await until(async () => {
    for (const { client } of all) expect((await client.call('GET', '/v1/channels/main')).status).toBe(200);
  });
  const verdicts = [];
  for (const { client } of all) verdicts.push((await client.webhook(textWebhook('A'))).body.verdicts);
  expect(verdicts).toEqual([{ new: 1 }, { duplicate: 1 }, { duplicate: 1 }]);
});

it.each([
  ['on', 0],
  ['local', 1],
])('a start with synchronous_commit=%s logs %i warnings that a failover may lose webhooks', async (value, warnings) => {
  const url = await databases.createBare();
  await runSql(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET synchronous_commit = ${value}`);
  const { logs } = await startLocal({ env: { ...KEYS, DATABASE_URL: url } });
  const found = logs.filter(({ msg }) => msg.includes('a failover may lose'));
  expect(found.map(({ level }) => level)).toEqual(Array.from({ length: warnings }, () => 40));
});
