import type { Db } from '../../src/store/sqlite/database.js';

/** A database that counts the rows that its statements return through `all` and `iterate`. */
export function counted(db: Db): { readonly db: Db; readonly rows: () => number } {
  let rows = 0;
  const prepare = (sql: string): unknown => {
    const statement = db.prepare(sql);
    return {
      all: (...values: unknown[]) => {
        const found = statement.all(...values);
        rows += found.length;
        return found;
      },
      *iterate(...values: unknown[]) {
        for (const row of statement.iterate(...values)) {
          rows += 1;
          yield row;
        }
      },
    };
  };
  return { db: { prepare } as unknown as Db, rows: () => rows };
}
