import type { Database, Transaction } from './database.js';
import type { Base } from './base.js';
import { InTurn } from './in-turn.js';
import type { RegistryCache, RegistryState } from './registry-cache.js';

/**
 * Transactions that write registrations of a channel. Each begins with the channel's lock, so a webhook is judged before or
 * after it, never beside it, and no two of them change the rows of one id at once. A process runs those of a channel one
 * after the other: the others would only wait for the lock, with a connection each.
 */
export class ChannelWork {
  readonly #db: Database;
  readonly #registry: RegistryCache;
  readonly #turns = new InTurn();

  constructor({ db, registry }: Base) {
    this.#db = db;
    this.#registry = registry;
  }

  async run<T>(channel: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#turns.run(channel, async () => await this.#db.transaction(work));
  }

  /** The first statements of the transaction; later ones may be sent beside them. */
  async begin(tx: Transaction, channel: string): Promise<RegistryState> {
    const [, state] = await Promise.all([tx.lockChannels([channel]), this.#registry.in(tx)]);
    return state;
  }
}
