import type { Db } from './database.js';

/** The table `meta`: single values by name. For use inside a transaction, `get` excepted. */
export class MetaTable {
  readonly #get;
  readonly #set;
  readonly #add;
  readonly #remove;

  constructor(db: Db) {
    this.#get = db.prepare<[string], string>('SELECT value FROM meta WHERE key = ?').pluck();
    this.#set = db.prepare<[string, string]>(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    this.#add = db.prepare<[string, string]>(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING',
    );
    this.#remove = db.prepare<[string, string]>('DELETE FROM meta WHERE key = ? AND value = ?');
  }

  get(name: string): string | null {
    return this.#get.get(name) ?? null;
  }

  set(name: string, value: string): void {
    this.#set.run(name, value);
  }

  /** Keeps the value that is there already. */
  add(name: string, value: string): void {
    this.#add.run(name, value);
  }

  /** Keeps any other value. */
  remove(name: string, value: string): void {
    this.#remove.run(name, value);
  }
}
