import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';
import { openDatabase, retainForever, stopWaitingForLocks } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { GroupCommit } from '../../src/store/sqlite/group-commit.js';
import { temporaryFolder } from '../support/files.js';
import { refusal } from '../support/store.js';

interface Bench {
  readonly db: Db;
  readonly commit: GroupCommit;
  /** What work caches; a change of it grows the version. */
  readonly cache: { version: number; readonly clearCache: ReturnType<typeof vi.fn<() => void>> };
  /** Writes a line, for use inside `commit.run`. */
  write(line: string): void;
  /** The committed lines, as another connection sees them. */
  committed(): unknown[];
}

function openBench(effects: Partial<Effects> = {}): Bench {
  const file = join(temporaryFolder(), 'lines.db');
  const { db, close } = openDatabase(file);
  onTestFinished(close);
  db.exec('CREATE TABLE lines (line TEXT)');
  const insert = db.prepare('INSERT INTO lines (line) VALUES (?)');
  const other = retainForever(new Database(file, { readonly: true }));
  onTestFinished(() => void other.close());
  const cache = { version: 0, clearCache: vi.fn<() => void>() };
  return {
    db,
    commit: new GroupCommit(db, cache, { ...systemEffects, ...effects }),
    cache,
    write: (line) => void insert.run(line),
    committed: () => other.prepare('SELECT line FROM lines ORDER BY rowid').pluck().all(),
  };
}

/** Allows one more page, after which the file cannot grow. */
function fillDisk(db: Db): void {
  db.pragma(`max_page_count = ${(db.pragma('page_count', { simple: true }) as number) + 1}`);
}

function makeRoom(db: Db): void {
  db.pragma('max_page_count = 1000000');
}

describe('group commit', () => {
  it("returns the result of each caller's own work", async () => {
    const { commit } = openBench();
    const results = await Promise.all([1, 2, 3].map(async (number) => await commit.run(() => number * 10)));
    expect(results).toEqual([10, 20, 30]);
  });

  it('puts all work that is waiting into one transaction', async () => {
    const { commit, write, committed } = openBench();
    const seen: unknown[][] = [];
    const work = (line: string) => (): void => {
      write(line);
      seen.push(committed());
    };
    await Promise.all(['A', 'B', 'C'].map(async (line) => await commit.run(work(line))));
    expect(seen).toEqual([[], [], []]);
    expect(committed()).toEqual(['A', 'B', 'C']);
  });

  it("I1: answers only after the commit, which contains everyone's work", async () => {
    const { commit, write, committed } = openBench();
    const answers = ['A', 'B', 'C'].map(async (line) => {
      await commit.run(() => write(line));
      return committed();
    });
    expect(await Promise.all(answers)).toEqual([
      ['A', 'B', 'C'],
      ['A', 'B', 'C'],
      ['A', 'B', 'C'],
    ]);
  });

  it('rolls back only the work that throws, and commits the rest', async () => {
    const { commit, write, committed } = openBench();
    const failing = (): never => {
      write('undone');
      throw new Error('No.');
    };
    const works = [(): void => write('A'), failing, (): void => write('B'), failing];
    const answers = await Promise.allSettled(works.map(async (work) => await commit.run(work)));
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    expect(committed()).toEqual(['A', 'B']);
  });

  it('clears the cache when work that changed it is rolled back, before other work runs', async () => {
    const { commit, cache } = openBench();
    const events: string[] = [];
    cache.clearCache.mockImplementation(() => void events.push('cleared'));
    const failing = (changes: number) => (): never => {
      cache.version += changes;
      events.push('fails');
      throw new Error('No.');
    };
    const works = [failing(1), (): unknown => events.push('works'), failing(0), (): unknown => (cache.version += 1)];
    await Promise.allSettled(works.map(async (work) => await commit.run(work)));
    expect(events).toEqual(['fails', 'cleared', 'works', 'fails']);
  });

  it('runs each piece of work once, whatever other work in the same commit does', async () => {
    const { commit } = openBench();
    const runs = { A: 0, failing: 0, B: 0 };
    const failing = (): never => {
      runs.failing += 1;
      throw new Error('No.');
    };
    const works = [(): unknown => (runs.A += 1), failing, (): unknown => (runs.B += 1)];
    await Promise.allSettled(works.map(async (work) => await commit.run(work)));
    expect(runs).toEqual({ A: 1, failing: 1, B: 1 });
  });

  it('rejects with the same error that the work threw', async () => {
    const { commit } = openBench();
    const error = new Error('No.');
    const failing = (): never => {
      throw error;
    };
    await expect(commit.run(failing)).rejects.toBe(error);
    const [first] = await Promise.allSettled([commit.run(failing), commit.run(() => 1)]);
    expect(first).toEqual({ status: 'rejected', reason: error });
  });

  it('runs frequent work without savepoints, and still rolls back only the piece that throws unexpectedly', async () => {
    const { commit, write, committed } = openBench();
    const failing = (): never => {
      write('undone');
      throw new Error('No.');
    };
    const works = [(): void => write('A'), failing, (): void => write('B')];
    const answers = await Promise.allSettled(works.map(async (work) => await commit.runWithoutSavepoint(work)));
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(committed()).toEqual(['A', 'B']);
  });

  it('keeps the cache when nothing was rolled back', async () => {
    const { commit, write, cache } = openBench();
    await Promise.all([commit.run(() => (cache.version += 1)), commit.run(() => write('B'))]);
    expect(cache.clearCache).not.toHaveBeenCalled();
  });

  it('rejects all callers of a failed commit, stores nothing of it, and continues', async () => {
    const { db, commit, write, committed } = openBench();
    db.pragma('foreign_keys = ON');
    db.exec('CREATE TABLE parents (id INTEGER PRIMARY KEY)');
    db.exec('CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)');
    const orphan = db.prepare('INSERT INTO children (parent) VALUES (99)');
    const answers = await Promise.allSettled([commit.run(() => write('A')), commit.run(() => void orphan.run())]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(committed()).toEqual([]);
    await commit.run(() => write('B'));
    expect(committed()).toEqual(['B']);
  });

  it('reports a full disk, and works again when there is space', async () => {
    const { db, commit, write, committed } = openBench();
    fillDisk(db);
    const large = commit.run(() => write('x'.repeat(100_000)));
    await expect(large).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
    await expect(large).rejects.toThrow('The disk is full. Nothing was changed; try again.');
    makeRoom(db);
    await commit.run(() => write('A'));
    expect(committed()).toEqual(['A']);
  });

  it('I4: reports correctly to each of many callers on a full disk whether its work is stored', async () => {
    const { db, commit, write, committed } = openBench();
    fillDisk(db);
    const lines = ['A', 'x'.repeat(100_000), 'B'];
    const answers = await Promise.allSettled(lines.map(async (line) => await commit.run(() => write(line))));
    expect(committed()).toEqual(lines.filter((_, index) => answers[index]?.status === 'fulfilled'));
    expect(answers[1]).toMatchObject({ reason: { message: 'The disk is full. Nothing was changed; try again.' } });
    makeRoom(db);
    await commit.run(() => write('C'));
    expect(committed()).toContain('C');
  });

  it('takes thousands of calls at once, in order', async () => {
    const { commit, write, committed } = openBench();
    const lines = Array.from({ length: 2500 }, (_, index) => `${index}`);
    await Promise.all(lines.map(async (line) => await commit.run(() => write(line))));
    expect(committed()).toEqual(lines);
  });

  it('is idle when nothing is waiting, including work added in the meantime', async () => {
    const { commit, write, committed } = openBench();
    const added = commit.run(() => write('A')).then(async () => await commit.run(() => write('B')));
    await commit.idle();
    expect(committed()).toEqual(['A', 'B']);
    await added;
    await commit.idle();
  });
});

/** A commit on a clock that only its own waits move, and another connection that holds the write lock. */
function openLocked(): Bench & {
  readonly elapsedMs: () => number;
  readonly at: (ms: number, run: () => void) => void;
  unlock(): void;
} {
  const later: { ms: number; run: () => void }[] = [];
  let now = 0;
  const sleep = async (ms: number): Promise<void> => {
    now += ms;
    for (const { run } of later.filter((each) => each.ms > now - ms && each.ms <= now)) run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const bench = openBench({ sleep, monotonic: () => now });
  const other = retainForever(new Database(bench.db.name, { timeout: 0 }));
  onTestFinished(() => void other.close());
  stopWaitingForLocks(bench.db);
  other.exec('BEGIN IMMEDIATE');
  return {
    ...bench,
    elapsedMs: () => now,
    at: (ms, run) => void later.push({ ms, run }),
    unlock: () => void other.exec('ROLLBACK'),
  };
}

describe('a write lock of another connection', () => {
  it('delays work until it is gone, in the order in which it came', async () => {
    const { commit, write, committed, at, unlock } = openLocked();
    at(1000, unlock);
    const works = ['A', 'B', 'C'].map(async (line) => await commit.run(() => write(line)));
    await Promise.all(works);
    expect(committed()).toEqual(['A', 'B', 'C']);
  });

  it('rejects each piece of work two seconds after it came, and names the cause', async () => {
    const { commit, write, elapsedMs, at } = openLocked();
    const rejectedAt: number[] = [];
    const add = async (line: string): Promise<void> =>
      await commit.run(() => write(line)).catch(() => void rejectedAt.push(elapsedMs()));
    const first = commit.run(() => write('A'));
    const second = new Promise((resolve) => at(500, () => resolve(add('B'))));
    await expect(first).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
    await expect(first).rejects.toThrow(/Another process holds a write lock .* sqlite3 shell: end it there/);
    await second;
    expect([elapsedMs(), rejectedAt]).toEqual([2500, [2500]]);
  });

  it('changes nothing for work that was rejected, and everything goes on when it is gone', async () => {
    const { commit, write, committed, unlock } = openLocked();
    await expect(commit.run(() => write('A'))).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
    unlock();
    await commit.run(() => write('B'));
    expect(committed()).toEqual(['B']);
  });

  it('delays and rejects work that runs alone in the same way', async () => {
    const { db, commit, committed, unlock } = openLocked();
    const insert = (): unknown => db.prepare("INSERT INTO lines VALUES ('alone')").run();
    await expect(commit.runAlone(insert)).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
    unlock();
    await commit.runAlone(insert);
    expect(committed()).toEqual(['alone']);
  });

  it('rejects work at its first retry once the commit has stopped waiting', async () => {
    const { commit, write, elapsedMs, at } = openLocked();
    at(500, () => commit.stopWaiting());
    await expect(commit.run(() => write('A'))).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
    await expect(commit.run(() => write('B'))).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'));
    expect(elapsedMs()).toBeLessThan(600);
  });

  it('does not keep the commit from becoming idle', async () => {
    const { commit, write } = openLocked();
    const refused = commit.run(() => write('A'));
    await Promise.all([commit.idle(), expect(refused).rejects.toEqual(refusal('GW_STORE_UNAVAILABLE'))]);
  });
});

describe('work that runs alone', () => {
  it('runs while no other work does, in turn with commits', async () => {
    const { commit, write, committed } = openBench();
    const seen: unknown[] = [];
    const alone = async (): Promise<void> => {
      seen.push(committed());
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(committed());
    };
    await Promise.all([
      commit.run(() => write('A')),
      commit.runAlone(alone),
      commit.runAlone(alone),
      commit.run(() => write('B')),
    ]);
    expect(seen).toEqual([
      ['A', 'B'],
      ['A', 'B'],
      ['A', 'B'],
      ['A', 'B'],
    ]);
  });

  it('holds up other work until it is over, and rejects with its own error', async () => {
    const { commit, write, committed } = openBench();
    const error = new Error('No.');
    let later: Promise<void> | undefined;
    const alone = async (): Promise<never> => {
      later = commit.run(() => write('A'));
      for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(committed()).toEqual([]);
      throw error;
    };
    await expect(commit.runAlone(alone)).rejects.toBe(error);
    await later;
    expect(committed()).toEqual(['A']);
  });
});

describe('a commit with much work', () => {
  it('ends after some milliseconds, and the rest goes into the next one', async () => {
    let now = 0;
    const { commit, write, committed } = openBench({ monotonic: () => now });
    const seen: number[] = [];
    const works = Array.from({ length: 12 }, async (_, index) => {
      await commit.run(() => {
        seen.push(committed().length);
        write(`${index}`);
        now += 10;
      });
    });
    await Promise.all(works);
    expect(seen).toEqual([0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10]);
  });
});
