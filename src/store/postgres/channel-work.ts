import type { Effects } from '../../effects.js';
import { GatewayError } from '../../errors.js';
import type { Database } from './database.js';
import type { Transaction } from './queries.js';
import type { Base } from './base.js';
import { KeyedMutex } from '../../keyed-mutex.js';
import type { RegistryCache, RegistryState } from './registry-cache.js';

/** While PostgreSQL is unreachable, each transaction takes seconds to fail. Those queued for longer than this fail at once. */
const LONGEST_WAIT_MS = 10_000;

/**
 * Transactions that write registrations of a channel. Each begins with the channel's lock, so a webhook is judged before or
 * after it, and no two change the rows of one id at once. A replica runs those of a channel one after the other: the others
 * would only wait for the lock, with a connection each.
 */
export class ChannelWork {
  readonly #db: Database;
  readonly #registry: RegistryCache;
  readonly #monotonic: Effects['monotonic'];
  readonly #mutex = new KeyedMutex();

  constructor({ db, registry, effects }: Base) {
    this.#db = db;
    this.#registry = registry;
    this.#monotonic = effects.monotonic;
  }

  /** @throws GatewayError GW_STORE_UNAVAILABLE */
  async run<T>(channel: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const askedAt = this.#monotonic();
    return await this.#mutex.run(channel, async () => {
      if (this.#monotonic() - askedAt > LONGEST_WAIT_MS) throw waitedTooLong(channel);
      return await this.#db.transaction(work);
    });
  }

  /** The first statements of the transaction; later ones may be sent beside them. */
  async begin(tx: Transaction, channel: string): Promise<RegistryState> {
    const [, state] = await Promise.all([tx.lockChannels([channel]), this.#registry.in(tx)]);
    return state;
  }
}

function waitedTooLong(channel: string): GatewayError {
  return new GatewayError(
    'GW_STORE_UNAVAILABLE',
    `Earlier work on channel "${channel}" has waited for PostgreSQL for more than ${LONGEST_WAIT_MS / 1000} seconds. Nothing was changed; try again.`,
  );
}
