import type { Queries, Transaction } from './queries.js';

/** A value of the table `meta` by its name; null: there is none. */
export async function metaValue(queries: Queries, name: string): Promise<string | null> {
  const row = await queries.one<{ value: string }>('SELECT value FROM gateway.meta WHERE key = $1', name);
  return row?.value ?? null;
}

/** Stores a value, in the place of an earlier one. */
export async function setMeta(queries: Queries, name: string, value: string): Promise<void> {
  await queries.run(
    'INSERT INTO gateway.meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    name,
    value,
  );
}

/** Stores a value unless one is stored already. Returns the stored one. */
export async function addMeta(tx: Transaction, name: string, value: string): Promise<string> {
  await tx.run('INSERT INTO gateway.meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING', name, value);
  return (await metaValue(tx, name)) ?? value;
}

/** Removes a value, unless it has changed since. */
export async function removeMeta(queries: Queries, name: string, value: string): Promise<void> {
  await queries.run('DELETE FROM gateway.meta WHERE key = $1 AND value = $2', name, value);
}
