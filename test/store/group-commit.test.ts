import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openDatabase, retainForever } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { GroupCommit } from '../../src/store/sqlite/group-commit.js';
import { temporaryFolder } from '../support/files.js';
import { refusal } from '../support/store.js';

interface Bench {
  readonly db: Db;
  readonly commit: GroupCommit;
  readonly onRollback: ReturnType<typeof vi.fn<() => void>>;
  /** Writes a line, for use inside `commit.run`. */
  write(line: string): void;
  /** The committed lines, as another connection sees them. */
  committed(): unknown[];
}

function openBench(): Bench {
  const file = join(temporaryFolder(), 'lines.db');
  const { db, close } = openDatabase(file);
  onTestFinished(close);
  db.exec('CREATE TABLE lines (line TEXT)');
  const insert = db.prepare('INSERT INTO lines (line) VALUES (?)');
  const other = retainForever(new Database(file, { readonly: true }));
  onTestFinished(() => void other.close());
  const onRollback = vi.fn<() => void>();
  return {
    db,
    commit: new GroupCommit(db, onRollback),
    onRollback,
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

  it('reports each rollback before other work runs, so that stale cached data is not used', async () => {
    const { commit, onRollback } = openBench();
    const events: string[] = [];
    onRollback.mockImplementation(() => void events.push('rollback'));
    const failing = (): never => {
      events.push('fails');
      throw new Error('No.');
    };
    await Promise.allSettled([commit.run(failing), commit.run(() => events.push('works')), commit.run(failing)]);
    expect(events.slice(-5)).toEqual(['fails', 'rollback', 'works', 'fails', 'rollback']);
    expect(events[events.indexOf('fails') + 1]).toBe('rollback');
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

  it('reports no rollback when there was none', async () => {
    const { commit, write, onRollback } = openBench();
    await Promise.all([commit.run(() => write('A')), commit.run(() => write('B'))]);
    expect(onRollback).not.toHaveBeenCalled();
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
