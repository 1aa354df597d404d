import type { Db } from './database.js';
import { allOf } from './filters.js';
import type { Condition } from './filters.js';
import { ROWS_PER_SLICE, yieldToCommits } from './slices.js';

/** A table whose rows are runs: their `number` grows with time. */
export interface RunTable {
  /** As it stands behind FROM, for example `resyncs r`. */
  readonly from: string;
  readonly conditions: readonly (Condition | false)[];
}

/** The newest rows below the number `before`. Reads in slices, because the conditions may match few of many runs. */
export async function newestRuns<Row>(
  db: Db,
  { from, conditions }: RunTable,
  before: number,
  limit: number,
): Promise<Row[]> {
  const startOfSlice = db
    .prepare<[number], number>(
      `SELECT number FROM ${from} WHERE number < ? ORDER BY number DESC LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    )
    .pluck();
  const rows: Row[] = [];
  for (let end = before; ;) {
    const start = startOfSlice.get(end);
    const { where, values } = allOf([['number >= ? AND number < ?', start ?? 0, end], ...conditions]);
    const select = db.prepare<unknown[], Row>(`SELECT * FROM ${from} WHERE ${where} ORDER BY number DESC LIMIT ?`);
    rows.push(...select.all(...values, limit - rows.length));
    if (start === undefined || rows.length >= limit) return rows;
    end = start;
    await yieldToCommits();
  }
}
