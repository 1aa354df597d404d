import { expect, it, vi } from 'vitest';
import { KEYS } from './support/engines.js';
import { until } from './support/intervals.js';
import { useDatabases } from './support/postgres/fixture.js';
import { startProcess } from './support/process.js';

// Each test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const databases = useDatabases({});

interface Report {
  readonly checks: readonly { name: string; subject: string; message: string }[];
}

it('a replica with another admin token is told in its log, and by the doctor of every replica', async () => {
  const env = { ...KEYS, DATABASE_URL: await databases.create() };
  const [first, second] = [
    await startProcess(env),
    await startProcess({ ...env, ADMIN_TOKEN: 'another-token-of-the-tests' }),
  ];
  expect(second.log.join('')).toMatch(/"settings":\["ADMIN_TOKEN"\].*"msg":"replicas differ"/);
  const { body } = await first.client.call<Report>('GET', '/v1/doctor');
  const [check] = body.checks.filter(({ name }) => name === 'replica_settings');
  expect(check).toMatchObject({
    subject: 'ADMIN_TOKEN',
    message: expect.stringContaining(`:${portOf(second.client.url)}`) as unknown,
  });
  expect(JSON.stringify(body)).not.toContain('another-token');
});

it('the stats name each replica by its host and port, until it has left', async () => {
  const env = { ...KEYS, DATABASE_URL: await databases.create() };
  const [first, second] = [await startProcess(env), await startProcess(env)];
  const ports = async () => {
    const { body } = await first.client.call<{ replicas: { name: string }[] }>('GET', '/v1/stats');
    return body.replicas.map(({ name }) => name.split(':').at(-1));
  };
  expect(await ports()).toEqual([portOf(first.client.url), portOf(second.client.url)]);
  expect(first.log.join('')).not.toContain('replicas differ');
  await second.end('SIGTERM');
  await until(async () => expect(await ports()).toEqual([portOf(first.client.url)]));
});

function portOf(url: string): string {
  return new URL(url).port;
}
