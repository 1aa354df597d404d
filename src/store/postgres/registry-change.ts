import type { Base } from './base.js';
import type { Transaction } from './queries.js';
import type { RegistryState } from './registry-cache.js';

/**
 * Changes the registry in a transaction that holds its lock, so that no webhook is recorded and no delivery settled at the same
 * time.
 */
export async function changeRegistry<T>(
  { db, registry }: Pick<Base, 'db' | 'registry'>,
  work: (tx: Transaction, state: RegistryState) => Promise<T>,
): Promise<T> {
  const result = await db.transaction(async (tx) => {
    await tx.lockRegistry();
    const done = await work(tx, await registry.in(tx));
    await registry.changed(tx);
    return done;
  });
  registry.forget();
  return result;
}
