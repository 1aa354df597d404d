import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import { FilterGroup, filterOf, formFor } from '../../src/store/sqlite/id-filter.js';
import { retainForever } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { partOf, RecentIds } from '../../src/store/sqlite/recent-ids.js';
import { yieldToCommits } from '../../src/store/sqlite/slices.js';
import { temporaryFolder, temporaryFolderInMemory } from '../support/files.js';
import { until } from '../support/intervals.js';
import { watchPlans } from '../support/plans.js';
import { DAY, HOUR, message, messages, openFixture, register, revisions, stage } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';
import { auditsContract } from './contract/audits.js';
import { intakeContract } from './contract/intake.js';
import { itemsContract } from './contract/items.js';
import { releaseContract } from './contract/release.js';
import { repetitionsContract } from './contract/repetitions.js';
import { upkeepContract } from './contract/upkeep.js';
import { viewsContract } from './contract/views.js';
import { windowsContract } from './contract/windows.js';

/** So few that nearly every webhook begins a run. */
const FEW = 2;
const RETENTION = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };

async function openSmall(idsPerRun: number, folder = temporaryFolder()): Promise<StoreFixture> {
  const file = join(folder, 'gateway.db');
  return await openFixture((effects) => openSqliteStore(file, effects, { idsPerRun }));
}

/** A store with small runs, and a second connection to its file. */
async function withFile(idsPerRun: number): Promise<{ fixture: StoreFixture; db: Db }> {
  const folder = temporaryFolderInMemory();
  const fixture = await stage(async () => await openSmall(idsPerRun, folder));
  const db = retainForever(new Database(join(folder, 'gateway.db')));
  onTestFinished(() => void db.close());
  return { fixture, db };
}

function count(db: Db, table: string): number {
  return db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0;
}

/** Records new messages `from` up to `to`. */
async function recordIds({ record }: StoreFixture, from: number, to: number): Promise<void> {
  for (let id = from; id < to; id += 1) expect(await record(messages(`M${id}`))).toEqual(['new']);
}

async function untilFolded(db: Db): Promise<void> {
  await until(() => {
    const states = db.prepare<[], string>('SELECT DISTINCT state FROM ledger_runs').pluck().all();
    expect(states).toEqual(['done']);
  });
}

describe('a ledger whose runs hold two ids', () => {
  const open = async () => {
    watchPlans();
    return await openSmall(FEW);
  };
  intakeContract(open);
  repetitionsContract(open);
  releaseContract(open);
  itemsContract(open);
  windowsContract(open);
  auditsContract(open, async () => {
    const fixture = await open();
    return [fixture, fixture];
  });
  viewsContract(open);
  upkeepContract(open);
});

describe('ids in runs', () => {
  it('I3: are known in the order of any history, with restarts at any moment', async () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 0, max: 30 }).map((id) => ({ kind: 'post' as const, id })) },
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 30 }).map((id) => ({ kind: 'put' as const, id })) },
      { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const, id: 0 }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'prune' as const, id: 0 }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), async (steps, size) => {
        const fixture = await stage(async () => await openSmall(size, temporaryFolderInMemory()));
        const posted = new Set<number>();
        const put = new Set<number>();
        for (const { kind, id } of steps) {
          if (kind === 'restart') await fixture.restart();
          else if (kind === 'prune') await fixture.store.upkeep.prune(RETENTION, fixture.clock.now());
          else if (kind === 'post') {
            expect(await fixture.record(messages(`M${id}`))).toEqual([posted.has(id) ? 'duplicate' : 'new']);
            posted.add(id);
          } else {
            const isKnown = posted.has(id) || put.has(id);
            expect(await fixture.record(revisions(message(`M${id}`)))).toEqual([isKnown ? 'duplicate' : 'new']);
            put.add(id);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it('are in exactly one place once they are folded', async () => {
    const { fixture, db } = await withFile(10);
    await recordIds(fixture, 0, 35);
    await untilFolded(db);
    expect(count(db, 'ledger_recent') + count(db, 'ledger_ids')).toBe(35);
    expect(count(db, 'ledger_recent')).toBeLessThan(20);
    for (let id = 0; id < 35; id += 1) expect(await fixture.record(messages(`M${id}`))).toEqual(['duplicate']);
  });

  it('that come in a burst share a filter with room for all of them', async () => {
    const { fixture, db } = await withFile(FEW);
    await fixture.record(messages(...Array.from({ length: 3000 }, (_, id) => message(`M${id}`, `chat ${id}`))));
    await untilFolded(db);
    const runs = db.prepare<[], { number: number; room: number }>(
      'SELECT number, parts * part_bytes AS room FROM ledger_runs',
    );
    const ids = db.prepare<[number], number>('SELECT count(*) FROM ledger_ids WHERE run = ?').pluck();
    for (const { number, room } of runs.all()) expect(room).toBeGreaterThanOrEqual(3 * (ids.get(number) ?? 0));
  });

  it('keep what their first webhook said, their last sighting and their revision', async () => {
    const { fixture, db } = await withFile(4);
    await fixture.record(revisions(message('A')));
    await recordIds(fixture, 0, 8);
    await untilFolded(db);
    fixture.clock.advance(HOUR);
    expect(await fixture.record(revisions(message('A')))).toEqual(['duplicate']);
    expect(await fixture.record(messages('A'))).toEqual(['new']); // its first post (rule 17)
    expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    const explained = await fixture.store.items.explain('main', 'A');
    const now = fixture.clock.now();
    expect(explained?.ledger).toEqual({ firstSeenAt: now - HOUR, lastSeenAt: now, rule: 10, seededAt: null });
    expect(explained?.sightings).toHaveLength(4);
  });

  it('are found by resyncs, which ask for what was never seen', async () => {
    const { fixture, db } = await withFile(4);
    await recordIds(fixture, 0, 8);
    await untilFolded(db);
    const { id } = await register(fixture, ['M1', 'other']);
    const { data } = await fixture.store.resyncs.messages(id, { limit: 9, cursor: null });
    expect(data.map(({ known }) => known)).toEqual([true, false]);
  });

  it('of an earlier version are known, and move to the recent ones when they come again', async () => {
    const { fixture, db } = await withFile(100);
    await fixture.record(messages('A', 'B'));
    db.exec(`
      INSERT INTO ledger_before_runs (key, fingerprint, first_seen_at, last_seen_at, rule, webhook_id, position, unposted)
        SELECT key, CAST(fingerprint || x'0000000000000000' AS BLOB), 1, 1, 10, webhook_id, 0, 0 FROM ledger_recent;
      DELETE FROM ledger_recent`);
    await fixture.restart();
    expect(await fixture.record(messages('A', 'C'))).toEqual(['duplicate', 'new']);
    expect([count(db, 'ledger_before_runs'), count(db, 'ledger_recent')]).toEqual([1, 2]);
    expect((await fixture.store.items.explain('main', 'B'))?.ledger).toMatchObject({ firstSeenAt: 1, rule: 10 });
  });

  it('are forgotten after their retention, run by run, with their filters, and younger ones are kept', async () => {
    const { fixture, db } = await withFile(10);
    await recordIds(fixture, 0, 20);
    await untilFolded(db);
    fixture.clock.advance(399 * DAY);
    await fixture.record(messages('M3'));
    await recordIds(fixture, 20, 35);
    fixture.clock.advance(2 * DAY);
    while (await fixture.store.upkeep.prune(RETENTION, fixture.clock.now()));
    expect(await fixture.record(messages('M3', 'M25', 'M4'))).toEqual(['duplicate', 'duplicate', 'new']);
    await untilFolded(db);
    const runs = count(db, 'ledger_runs');
    expect([runs, count(db, 'ledger_filters')]).toEqual([runs, runs]);
    expect(count(db, 'ledger_recent') + count(db, 'ledger_ids')).toBe(17);
  });

  it('that were rolled back are new, and those recorded before are known', async () => {
    const { fixture, db } = await withFile(10);
    await recordIds(fixture, 0, 5);
    db.exec(
      "CREATE TRIGGER fails BEFORE INSERT ON sightings WHEN NEW.message_id = 'M9' BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    const all = ['M5', 'M9', 'M6'].map(async (id) => await fixture.record(messages(id)).catch(() => null));
    expect(await Promise.all(all)).toEqual([['new'], null, ['new']]);
    db.exec('DROP TRIGGER fails');
    expect(await fixture.record(messages('M9', 'M5', 'M6', 'M1'))).toEqual([
      'new',
      'duplicate',
      'duplicate',
      'duplicate',
    ]);
    await recordIds(fixture, 10, 20);
    await untilFolded(db);
    expect(await fixture.record(messages('M9', 'M5', 'M19', 'M30'))).toEqual([
      'duplicate',
      'duplicate',
      'duplicate',
      'new',
    ]);
  });
});

describe('folding that fails', () => {
  it('goes on soon after, and not only when there are ids for another run', async () => {
    const { fixture, db } = await withFile(20);
    db.exec("CREATE TRIGGER fails BEFORE INSERT ON ledger_ids BEGIN SELECT RAISE(ABORT, 'no'); END");
    await recordIds(fixture, 0, 20);
    await yieldToCommits();
    expect(count(db, 'ledger_runs')).toBe(0);
    db.exec('DROP TRIGGER fails');
    await recordIds(fixture, 20, 39);
    await untilFolded(db);
    expect([count(db, 'ledger_runs'), count(db, 'ledger_ids')]).toEqual([1, 20]);
  });
});

describe('a process that is killed while it folds', () => {
  it('I1: forgets no id that was answered, whatever step it was in', { timeout: 60_000 }, async () => {
    const file = join(temporaryFolder(), 'gateway.db');
    const small = async (): Promise<StoreFixture> =>
      await openFixture((effects) => openSqliteStore(file, effects, { idsPerRun: 200 }));
    const prepared = await stage(small);
    await prepared.store.close();
    let next = 0;
    for (let kill = 0; kill < 8; kill += 1) next = await killedWhileRecording(file, next, 300 + 170 * kill);
    const fixture = await small();
    expect(fixture.store).toBeDefined();
    for (let from = 0; from < next; from += 500) {
      const ids = Array.from({ length: Math.min(500, next - from) }, (_, at) => `M${from + at}`);
      expect(new Set(await fixture.record(messages(...ids)))).toEqual(new Set(['duplicate']));
    }
  });
});

/** Records from message `first` on, until at least `count` were answered. Returns the number after the last answered one. */
async function killedWhileRecording(file: string, first: number, count: number): Promise<number> {
  const child = spawn(process.execPath, [RECORDING, file, String(first), '200'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let answered = first;
  for await (const line of createInterface({ input: child.stdout })) {
    answered = Number(line);
    if (answered - first >= count) child.kill('SIGKILL');
  }
  return answered;
}

const RECORDING = fileURLToPath(new URL('../support/recording-process.js', import.meta.url));

describe('the index of recent ids', () => {
  it('finds every key, no other, and hands out each part in order', () => {
    const ids = new RecentIds(0);
    const keys = Array.from({ length: 5000 }, () => randomBytes(16));
    for (const [row, key] of keys.entries()) ids.add(key, row);
    expect(keys.map((key) => ids.find(key, (row) => row))).toEqual(keys.map((_, row) => row));
    expect(ids.find(randomBytes(16), (row) => row)).toBeUndefined();
    for (const parts of [1, 8, 4096, 65_536]) {
      const all = Array.from({ length: parts }, (_, part) => ids.part(part, parts)).flat();
      expect(all.map(({ key }) => key)).toEqual([...keys].sort(Buffer.compare));
    }
  });

  it('tries every row of a key, because a rollback may have removed one', () => {
    const ids = new RecentIds(0);
    const key = randomBytes(16);
    ids.add(key, 1);
    ids.add(key, 2);
    expect([1, 2, 3].map((row) => ids.find(key, (each) => (each === row ? each : undefined)))).toEqual([
      1,
      2,
      undefined,
    ]);
  });
});

describe('the filter of a run', () => {
  it('passes all of its ids, and one in a thousand others at most', () => {
    const keys = Array.from({ length: 20_000 }, () => randomBytes(16));
    const { parts, partBytes } = formFor(keys.length);
    expect(parts * partBytes).toBeLessThan(3.1 * keys.length);
    const ofPart = Array.from({ length: parts }, (_, part) => keys.filter((key) => partOf(key, parts) === part));
    const filters = ofPart.map((each) => filterOf(each, partBytes));
    const group = new FilterGroup({ parts, partBytes });
    for (const run of [1, 2, 3]) group.add(run);
    const empty = Buffer.alloc(partBytes);
    const read = (run: number, part: number) => (run === 2 ? filters[part] : empty);
    const passes = (key: Buffer) => group.find(key, read, (run) => run) === 2;
    expect(keys.every(passes)).toBe(true);
    expect(Array.from({ length: 20_000 }, () => randomBytes(16)).filter(passes).length).toBeLessThan(20);
  });

  it.each([
    ['missing', undefined],
    ['cut off', Buffer.alloc(1)],
  ])('passes every id if it is %s', (_, filter) => {
    const group = new FilterGroup(formFor(20));
    group.add(1);
    const key = randomBytes(16);
    expect(
      group.find(
        key,
        () => filter,
        (run) => run,
      ),
    ).toBe(1);
  });
});
