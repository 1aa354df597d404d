import type { Db } from '../../src/store/sqlite/database.js';

/** A database that counts the rows that its statements return through `all`. */
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
    };
  };
  return { db: { prepare } as unknown as Db, rows: () => rows };
}
