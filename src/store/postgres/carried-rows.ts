import type { CarriedRow } from '../carry-over.js';
import { valueOf } from './carried-values.js';
import type { Carriable, Column } from './carried-values.js';
import { JoinedBytes } from './joined-bytes.js';
import type { Transaction } from './queries.js';

/** One parameter of the statement: an array with a value for each row. */
interface ParamArray {
  readonly name: string;
  readonly type: string;
  readonly values: readonly Carriable[];
}

const LANES = `INSERT INTO gateway.lanes (target, lane, seq, delivery_id)
  SELECT q.target, k.lane, q.seq, q.id FROM gateway.queue q, unnest(q.lanes) AS k (lane) WHERE q.id = ANY($1::bigint[])`;

/** Inserts rows with these columns into a table, and pending deliveries into their lanes as well. */
export async function insertRows(
  tx: Transaction,
  table: string,
  columns: readonly Column[],
  rows: readonly CarriedRow[],
): Promise<void> {
  const bytes = new JoinedBytes();
  const arrays = columns.flatMap((column) => arraysOf(column, rows, bytes));
  await tx.run(
    `INSERT INTO gateway.${table} (${columns.map(({ name }) => `"${name}"`).join()}) OVERRIDING SYSTEM VALUE
     SELECT ${columns.map(selected).join()} FROM (SELECT $1::bytea AS "no bytes") AS none,
       unnest(${arrays.map(({ type }, at) => `$${at + 2}::${type}[]`).join()}) AS r (${arrays.map(({ name }) => name).join()})`,
    bytes.all(),
    ...arrays.map(({ values }) => values),
  );
  if (table !== 'queue') return;
  await tx.run(
    LANES,
    rows.map((row) => Number(row['id'])),
  );
}

/** The values of a column. Those of a `bytea` are added to `bytes`, and their places are given instead. */
function arraysOf({ name, type }: Column, rows: readonly CarriedRow[], bytes: JoinedBytes): ParamArray[] {
  if (type !== 'bytea') {
    const values = rows.map((row) => valueOf(type, row[name] ?? null));
    return [{ name: `"${name}"`, type: type.endsWith('[]') ? 'text' : type, values }];
  }
  const buffers = rows.map((row) => row[name] as Buffer | null);
  const starts = buffers.map((buffer) => buffer && bytes.add(buffer));
  const lengths = buffers.map((buffer) => buffer?.length ?? null);
  return [
    { name: `"${name} start"`, type: 'integer', values: starts },
    { name: `"${name} length"`, type: 'integer', values: lengths },
  ];
}

/** A column as the statement selects it from the arrays. */
function selected({ name, type }: Column): string {
  return type === 'bytea' ? `substring($1::bytea FROM "${name} start" FOR "${name} length")` : `"${name}"::${type}`;
}
