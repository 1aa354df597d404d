import { describe, expect, it } from 'vitest';
import type { Base } from '../../src/store/postgres/base.js';
import { utcDay } from '../../src/store/rules/days.js';
import { stageReplicas, useDatabases } from '../support/postgres/fixture.js';
import { DAY, HOUR, idsIn, messages, MINUTE, prune, SECOND, START } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';

const RETENTION = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };
const databases = useDatabases();

const stageTwo = async () => await stageReplicas(databases);

/** The tables of the day of `at` that are left. */
async function tablesOf({ db }: Base, at: number): Promise<string[]> {
  const names = ['webhooks', 'sightings', 'evidence', 'history'].map((table) => `${table}_${utcDay(at)}`);
  const rows = await db.all<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS t (name) WHERE to_regclass($2 || name) IS NOT NULL',
    names,
    'gateway.',
  );
  return rows.map(({ name }) => name);
}

async function webhooks({ db }: Base): Promise<number> {
  return (await db.all('SELECT id FROM gateway.webhooks')).length;
}

/** Holds the tables of payloads as a long read does. Returns what ends it. */
async function readFor(base: Base): Promise<() => Promise<void>> {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  let reading: Promise<void> | null = null;
  await new Promise<void>((resolve) => {
    reading = base.db.transaction(async (tx) => {
      await tx.all('SELECT id FROM gateway.webhooks');
      resolve();
      await ended;
    });
  });
  return async () => {
    end();
    await reading;
  };
}

describe('pruning in PostgreSQL', () => {
  it('drops the tables of a day whose deliveries were all settled before the retention', async () => {
    const { one, base, clock } = await stageTwo();
    await one.record(messages('A'));
    await one.deliverAll();
    expect(await tablesOf(base, START)).toHaveLength(4);
    clock.advance(8 * DAY);
    await prune(one, RETENTION);
    expect(await tablesOf(base, START)).toEqual([]);
    expect(await one.record(messages('A'))).toEqual(['duplicate']);
  });

  it('I4: keeps what is pending of an old day, and deletes the rest of it', async () => {
    const { one, base, clock } = await stageTwo();
    await one.record(messages('A'));
    await one.deliverAll();
    await one.store.registry.changeTarget('bot', { enabled: false });
    await one.record(messages('B'));
    clock.advance(30 * DAY);
    await prune(one, RETENTION);
    expect(await webhooks(base)).toBe(1);
    await one.store.registry.changeTarget('bot', { enabled: true });
    expect(idsIn(await one.deliverAll())).toEqual(['B']);
    clock.advance(8 * DAY);
    await prune(one, RETENTION);
    expect(await tablesOf(base, START)).toEqual([]);
  });

  it('leaves a day that is being read to a later sweep', async () => {
    const { one, base, clock } = await stageTwo();
    await one.record(messages('A'));
    await one.deliverAll();
    const endRead = await readFor(base);
    clock.advance(8 * DAY);
    await prune(one, RETENTION);
    expect(await tablesOf(base, START)).toHaveLength(4);
    await endRead();
    await prune(one, RETENTION);
    expect(await tablesOf(base, START)).toEqual([]);
  });

  it('is done by one replica at a time, and continued by another one after a crash', async () => {
    const { one, other, base, clock } = await stageTwo();
    await one.record(messages('A'));
    await one.deliverAll();
    clock.advance(8 * DAY);
    expect(await one.store.upkeep.prune(RETENTION, clock.now())).toBe(true);
    expect(await other.store.upkeep.prune(RETENTION, clock.now())).toBe(false);
    clock.advance(2 * MINUTE);
    await prune(other, RETENTION);
    expect(await tablesOf(base, START)).toEqual([]);
  });

  it('is not repeated by another replica within half an hour', async () => {
    const { one, other, clock } = await stageTwo();
    await prune(one, RETENTION);
    clock.advance(29 * MINUTE);
    expect(await other.store.upkeep.prune(RETENTION, clock.now())).toBe(false);
    clock.advance(MINUTE);
    expect(await other.store.upkeep.prune(RETENTION, clock.now())).toBe(true);
  });
});

describe("PostgreSQL's clock, set back", () => {
  it('shifts due times once, however many replicas detect it', async () => {
    const { one, other, clock } = await stageTwo();
    await one.record(messages('A'));
    await one.settle(await one.claimOne(), 'pending', START + HOUR);
    await other.record(messages('B'));
    clock.advance(-DAY);
    for (const { store } of [one, other, one]) await store.upkeep.clockSetBack(DAY);
    clock.advance(HOUR - 1);
    expect(await one.claim()).toMatchObject({ nextDueAt: START - DAY + HOUR });
  });

  it('shifts nothing if only the clock of a replica was set back', async () => {
    const { one } = await stageTwo();
    await one.record(messages('A'));
    await one.settle(await one.claimOne(), 'pending', START + HOUR);
    await one.store.upkeep.clockSetBack(DAY);
    expect(await one.claim()).toMatchObject({ nextDueAt: START + HOUR });
  });
});

describe('counts of several replicas', () => {
  it('add up: refused webhooks of a channel', async () => {
    const { one, other, clock } = await stageTwo();
    for (const { store } of [one, one, other]) store.traffic.countRefusal('main', 'GW_BAD_JSON');
    clock.advance(SECOND);
    other.store.traffic.countRefusal('main', 'GW_UNAUTHORIZED');
    await one.restart();
    await other.restart();
    expect((await one.store.traffic.of('main')).refused).toEqual({
      ...{ today: 4, lastAt: START + SECOND, lastCode: 'GW_UNAUTHORIZED' },
    });
  });

  it('add up: rollups that are added at the same instant', async () => {
    const { one, other } = await stageTwo();
    const add = async ({ store }: StoreFixture) =>
      await store.rollups.add([{ subject: 'c:shop', figures: { new: 1 } }], START, () => undefined);
    await Promise.all([one, other, one, other].map(add));
    const [point] = await one.store.rollups.series('c:shop', { from: START, stepMs: 10_000 });
    expect(point?.figures).toEqual({ new: 4 });
  });
});
