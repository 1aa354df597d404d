import { addFigures, coverOf, keptAt, rowsAt } from '../rules/rollups.js';
import type { Database } from './database.js';
import type { Transaction } from './queries.js';
import type { Base } from './base.js';
import { LOCK_ROLLUPS } from './locks.js';
import type { Figures, RollupPoint, RollupRange, RollupRow, Rollups } from '../rollups.js';

/** Subjects whose counts one transaction adds: some milliseconds. */
const SUBJECTS_PER_STEP = 40;

const SUMS = `
  SELECT r.subject, f.name, sum(f.value::double precision) AS sum
  FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS c (step_ms, since, until)
    JOIN gateway.rollups r ON r.step_ms = c.step_ms AND starts_with(r.subject, $1) AND r.start >= c.since AND r.start < c.until
    CROSS JOIN LATERAL json_each_text(r.figures::json) AS f (name, value)
  GROUP BY r.subject, f.name ORDER BY r.subject COLLATE "C"`;

interface StoredRow {
  readonly step_ms: number;
  readonly subject: string;
  readonly figures: string;
}

/** Counts over time, to which every replica adds. */
export class PostgresRollups implements Rollups {
  readonly #db: Database;

  constructor({ db }: Pick<Base, 'db'>) {
    this.#db = db;
  }

  async add(rows: readonly RollupRow[], at: number, onAdded: (row: RollupRow) => void): Promise<void> {
    for (let from = 0; from < rows.length; from += SUBJECTS_PER_STEP) {
      const some = rows.slice(from, from + SUBJECTS_PER_STEP);
      await this.#db.transaction(async (tx) => await addTo(tx, some, at));
      some.forEach(onAdded);
    }
  }

  async series(subject: string, { from, stepMs }: RollupRange): Promise<readonly RollupPoint[]> {
    const rows = await this.#db.all<{ start: number; figures: string }>(
      'SELECT start, figures FROM gateway.rollups WHERE step_ms = $1 AND subject = $2 AND start >= $3 ORDER BY start',
      stepMs,
      subject,
      from,
    );
    return rows.map(({ start, figures }) => ({ start, figures: parse(figures) }));
  }

  /** Added up by PostgreSQL: the rows of 90 days and some hundred subjects would hold the event loop. */
  async sums(prefix: string, range: RollupRange): Promise<ReadonlyMap<string, Figures>> {
    const cover = coverOf(range);
    const rows = await this.#db.all<{ subject: string; name: string; sum: number }>(
      SUMS,
      prefix,
      cover.map(({ stepMs }) => stepMs),
      cover.map(({ from }) => from),
      cover.map(({ until }) => until),
    );
    const sums = new Map<string, Record<string, number>>();
    for (const { subject, name, sum } of rows) sums.set(subject, { ...sums.get(subject), [name]: sum });
    return sums;
  }

  async prune(now: number): Promise<void> {
    const kept = keptAt(now);
    await this.#db.run(
      `DELETE FROM gateway.rollups r USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (step_ms, since, until)
       WHERE r.step_ms = k.step_ms AND (r.start < k.since OR r.start > k.until)`,
      kept.map(({ stepMs }) => stepMs),
      kept.map(({ from }) => from),
      kept.map(({ until }) => until),
    );
  }
}

async function addTo(tx: Transaction, rows: readonly RollupRow[], at: number): Promise<void> {
  await tx.all(LOCK_ROLLUPS);
  const steps = rowsAt(at);
  const stepMs = steps.map((step) => step.stepMs);
  const starts = steps.map(({ start }) => start);
  const stored = await tx.all<StoredRow>(
    `SELECT r.step_ms, r.subject, r.figures FROM unnest($1::bigint[], $2::bigint[]) AS s (step_ms, start)
     JOIN gateway.rollups r ON r.step_ms = s.step_ms AND r.start = s.start AND r.subject = ANY($3::text[])`,
    stepMs,
    starts,
    rows.map(({ subject }) => subject),
  );
  const before = new Map(stored.map((row) => [`${row.step_ms} ${row.subject}`, parse(row.figures)]));
  const sums = new Map<string, { stepMs: number; subject: string; start: number; figures: Figures }>();
  for (const step of steps) {
    for (const { subject, figures } of rows) {
      const key = `${step.stepMs} ${subject}`;
      const sum = addFigures(sums.get(key)?.figures ?? before.get(key) ?? {}, figures);
      sums.set(key, { ...step, subject, figures: sum });
    }
  }
  const all = [...sums.values()];
  await tx.run(
    `INSERT INTO gateway.rollups (step_ms, subject, start, figures)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[])
     ON CONFLICT (step_ms, subject, start) DO UPDATE SET figures = excluded.figures`,
    all.map((sum) => sum.stepMs),
    all.map(({ subject }) => subject),
    all.map(({ start }) => start),
    all.map(({ figures }) => JSON.stringify(figures)),
  );
}

function parse(text: string): Figures {
  return JSON.parse(text) as Figures;
}
