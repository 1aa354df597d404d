import { onTestFinished, vi } from 'vitest';
import type { Database } from '../../../src/store/postgres/database.js';
import type { Param } from '../../../src/store/postgres/queries.js';

/** A node of a plan as EXPLAIN prints it in JSON. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** A statement that was run, and how much it read. */
export interface Ran {
  readonly sql: string;
  /** Rows that all scans of the statement have read, matching or not. */
  readonly rows: number;
  /** Whole tables that it read, by their names; small ones are left out. */
  readonly scanned: readonly string[];
  readonly indexes: readonly string[];
}

/** Up to this many rows, the planner may read the whole table. */
const SMALL = 500;

/** Watches the statements of `work` and runs each again to see its plan. Only for work that writes nothing. */
export async function plansOf(db: Database, work: () => Promise<unknown>): Promise<Ran[]> {
  const spies = [vi.spyOn(db, 'all'), vi.spyOn(db, 'one')];
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore();
  });
  await work();
  const calls = spies.flatMap((spy) => spy.mock.calls as [string, ...Param[]][]);
  for (const spy of spies) spy.mockRestore();
  const ran: Ran[] = [];
  for (const [sql, ...params] of calls) ran.push(await planOf(db, sql, params));
  return ran;
}

async function planOf(db: Database, sql: string, params: readonly Param[]): Promise<Ran> {
  const [row] = await db.all<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
    `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${sql}`,
    ...params,
  );
  const scans = nodesOf(row?.['QUERY PLAN'][0]?.Plan).filter((node) => node['Relation Name'] ?? node['Index Name']);
  return {
    sql,
    rows: scans.reduce((sum, node) => sum + rowsRead(node), 0),
    scanned: scans.flatMap((node) =>
      node['Node Type'] === 'Seq Scan' && rowsRead(node) > SMALL ? (node['Relation Name'] ?? []) : [],
    ),
    indexes: scans.flatMap((node) => node['Index Name'] ?? []),
  };
}

function nodesOf(node: PlanNode | undefined): PlanNode[] {
  return node ? [node, ...(node.Plans ?? []).flatMap(nodesOf)] : [];
}

function rowsRead(node: PlanNode): number {
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  return (node['Actual Rows'] + removed) * node['Actual Loops'];
}
