import { describe, expect, it } from 'vitest';
import { serverChecks } from '../../src/doctor/server-checks.js';
import type { Replica } from '../../src/store/replicas.js';
import type { ServerFacts } from '../../src/store/server.js';
import { DAY, MINUTE, START } from '../support/store.js';

const FACTS: ServerFacts = {
  version: '18.4',
  hasFsync: true,
  synchronousCommit: 'on',
  oldestTransactionMs: 300,
  oldestDayAt: START - 7 * DAY,
  newestDayAt: START + 3 * DAY,
  clockAheadMs: 40,
};

function replica(id: string, token = 'x'): Replica {
  return { id, name: `${id}:8080`, settings: { ADMIN_TOKEN: token }, startedAt: START, seenAt: START };
}

/** The checks that are not fine, as `name status`. */
function faultsOf(change: Partial<ServerFacts>): string[] {
  const checks = serverChecks({ ...FACTS, ...change }, [], START);
  return checks.filter(({ status }) => status !== 'ok').map(({ name, status }) => `${name} ${status}`);
}

describe('the checks of PostgreSQL', () => {
  it.each<[string, Partial<ServerFacts>, string[]]>([
    ['a server that is set up well', {}, []],
    ['fsync = off', { hasFsync: false }, ['durability fail']],
    ['synchronous_commit = off', { synchronousCommit: 'off' }, ['durability fail']],
    ['synchronous_commit = local', { synchronousCommit: 'local' }, ['durability warn']],
    ['a forgotten transaction', { oldestTransactionMs: 11 * MINUTE }, ['transactions warn']],
    ['no partition for tomorrow', { newestDayAt: START - DAY }, ['partitions warn']],
    ['a clock that is behind', { clockAheadMs: -6000 }, ['database_clock warn']],
  ])('find %s', (_, change, faults) => {
    expect(faultsOf(change)).toEqual(faults);
  });

  it('say what to do about each fault', () => {
    const checks = serverChecks({ ...FACTS, hasFsync: false, oldestTransactionMs: DAY, clockAheadMs: DAY }, [], START);
    expect(checks.every(({ status, fix }) => (status === 'ok') === (fix === null))).toBe(true);
  });

  it('count the replicas', () => {
    const [check] = serverChecks(FACTS, [replica('a'), replica('b')], START).filter(({ name }) => name === 'replicas');
    expect(check?.message).toBe('2 replicas share this database: a:8080, b:8080.');
  });

  it('name the settings that replicas have different values of, and the replicas that have each', () => {
    const replicas = [replica('a', 'x'), replica('b', 'y'), replica('c', 'x')];
    const checks = serverChecks(FACTS, replicas, START).filter(({ status }) => status !== 'ok');
    expect(checks.map(({ name, subject, message }) => [name, subject, message])).toEqual([
      [
        'replica_settings',
        'ADMIN_TOKEN',
        'Replicas run with different values of ADMIN_TOKEN: a:8080, c:8080 | b:8080.',
      ],
    ]);
  });
});
