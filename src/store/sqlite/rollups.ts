import { nextTurn } from '../../event-loop.js';
import { addFigures, coverOf, keptAt, rowsAt } from '../rules/rollups.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { read } from './reads.js';
import type { Figures, RollupPoint, RollupRange, RollupRow, Rollups } from '../rollups.js';

/** Subjects whose counts one transaction adds, or one turn reads: some milliseconds. */
const SUBJECTS_PER_STEP = 40;

export class SqliteRollups implements Rollups {
  readonly #commit: GroupCommit;
  readonly #one;
  readonly #put;
  readonly #between;
  readonly #nextSubject;
  readonly #drop;

  constructor(db: Db, commit: GroupCommit) {
    this.#commit = commit;
    this.#one = db
      .prepare<[number, string, number], string>(
        'SELECT figures FROM rollups WHERE step_ms = ? AND subject = ? AND start = ?',
      )
      .pluck();
    this.#put = db.prepare<[number, string, number, string]>(
      'INSERT OR REPLACE INTO rollups (step_ms, subject, start, figures) VALUES (?, ?, ?, ?)',
    );
    this.#between = db.prepare<[number, string, number, number], { start: number; figures: string }>(
      'SELECT start, figures FROM rollups WHERE step_ms = ? AND subject = ? AND start >= ? AND start < ? ORDER BY start',
    );
    this.#nextSubject = db
      .prepare<[number, string], string>(
        'SELECT subject FROM rollups WHERE step_ms = ? AND subject > ? ORDER BY subject LIMIT 1',
      )
      .pluck();
    this.#drop = db.prepare<[number, string, number, number]>(
      'DELETE FROM rollups WHERE step_ms = ? AND subject = ? AND (start < ? OR start > ?)',
    );
  }

  async add(rows: readonly RollupRow[], at: number, onAdded: (row: RollupRow) => void): Promise<void> {
    for (let from = 0; from < rows.length; from += SUBJECTS_PER_STEP) {
      const some = rows.slice(from, from + SUBJECTS_PER_STEP);
      await this.#commit.run(() => some.forEach((row) => this.#add(row, at)));
      some.forEach(onAdded);
    }
  }

  #add({ subject, figures }: RollupRow, at: number): void {
    for (const { stepMs, start } of rowsAt(at)) {
      const before = this.#one.get(stepMs, subject, start);
      const sum = before === undefined ? figures : addFigures(parse(before), figures);
      this.#put.run(stepMs, subject, start, JSON.stringify(sum));
    }
  }

  async series(subject: string, { from, stepMs }: RollupRange): Promise<readonly RollupPoint[]> {
    const rows = await read(() => this.#between.all(stepMs, subject, from, Number.MAX_SAFE_INTEGER));
    return rows.map(({ start, figures }) => ({ start, figures: parse(figures) }));
  }

  async sums(prefix: string, range: RollupRange): Promise<ReadonlyMap<string, Figures>> {
    const cover = coverOf(range);
    const sums = new Map<string, Figures>();
    const largest = cover.at(-1)?.stepMs ?? range.stepMs;
    for (const subject of await read(() => this.#subjects(largest))) {
      if (!subject.startsWith(prefix)) continue;
      const rows = await read(() =>
        cover.flatMap((part) => this.#between.all(part.stepMs, subject, part.from, part.until)),
      );
      if (rows.length > 0) sums.set(subject, rows.map(({ figures }) => parse(figures)).reduce(addFigures, {}));
      if (sums.size % SUBJECTS_PER_STEP === 0) await nextTurn();
    }
    return sums;
  }

  async prune(now: number): Promise<void> {
    for (const { stepMs, from, until } of keptAt(now)) {
      for (const subject of await read(() => this.#subjects(stepMs)))
        await this.#commit.run(() => this.#drop.run(stepMs, subject, from, until));
    }
  }

  /** One lookup for each of them, which are some hundred at most. */
  #subjects(stepMs: number): string[] {
    const subjects: string[] = [];
    let subject = this.#nextSubject.get(stepMs, '');
    while (subject !== undefined) {
      subjects.push(subject);
      subject = this.#nextSubject.get(stepMs, subject);
    }
    return subjects;
  }
}

function parse(text: string): Figures {
  return JSON.parse(text) as Figures;
}
