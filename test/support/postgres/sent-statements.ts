import type { Database } from '../../../src/store/postgres/database.js';
import type { Param, Transaction } from '../../../src/store/postgres/queries.js';

/** A statement as it was sent. */
interface Sent {
  readonly sql: string;
  readonly params: readonly Param[];
}

const HAS_PLAN = /^\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b/;

/** Notes every statement that a database sends from now on, to look at their plans. */
export class SentStatements {
  readonly #db: Database;
  readonly #sent = new Map<string, Sent>();

  constructor(db: Database) {
    this.#db = db;
    const { transaction } = db;
    this.#watch(db, ['all', 'one', 'run']);
    db.transaction = async (work) =>
      (await transaction.call(db, async (tx: Transaction) => {
        this.#watch(tx, ['all', 'one', 'run', 'commitWith']);
        return await work(tx);
      })) as never;
  }

  /** Statements whose plan reads one of these tables from one end to the other, with the plan. */
  async scansOf(tables: readonly string[]): Promise<string[]> {
    const scan = new RegExp(`Seq Scan on (${tables.join('|')})\\b`);
    const scans: string[] = [];
    for (const { sql, params } of [...this.#sent.values()].filter((each) => HAS_PLAN.test(each.sql))) {
      const rows = await this.#db.all<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`, ...params);
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      if (scan.test(plan)) scans.push(`${sql}\n${plan}`);
    }
    return scans;
  }

  #watch(queries: object, names: readonly string[]): void {
    const methods = queries as Record<string, (sql: string, ...params: Param[]) => unknown>;
    for (const name of names) {
      const method = methods[name];
      if (!method) continue;
      methods[name] = (sql, ...params) => {
        if (!sql.startsWith('EXPLAIN')) this.#sent.set(sql, { sql, params });
        return method.call(queries, sql, ...params);
      };
    }
  }
}
