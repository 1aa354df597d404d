import { inSlices } from '../../event-loop.js';
import type { Document } from '../../intake/decode.js';
import { subscribes } from '../../intake/route.js';
import type { IncomingWebhook } from '../../model.js';
import type { Ids } from './numbering.js';
import { ReplayWatch } from '../../intake/replays.js';
import { openBeside } from './database.js';
import type { Db } from './database.js';
import { DeliveryMemory } from './delivery-memory.js';
import { DeliveryTables } from './delivery-tables.js';
import type { LedgerMemory } from './ledger-memory.js';
import type { WebhookRecorder } from '../rules/recorder.js';
import { createRecorder } from './recorder.js';
import { RegistryTables } from './registry-tables.js';
import { TargetCounts } from './target-counts.js';
import { Transaction } from './transaction.js';
import { TransactionMemory } from './transaction-memory.js';
import type { Recorded } from '../intake.js';

/** Rows of items and deliveries that one piece of a group commit may write: more would hold up the event loop. */
const LARGEST_PIECE_ROWS = 1000;

interface Beside {
  readonly db: Db;
  readonly registry: RegistryTables;
  readonly recorder: WebhookRecorder;
  readonly transaction: Transaction;
}

/**
 * Records webhooks with thousands of items, each in one transaction (I1, I3) that stays open over many turns of the event
 * loop. The transaction has a connection of its own, so everything that reads on the first one meanwhile sees only what is
 * committed. (Making all reads wait instead would also have to stop lists and counts in the middle of their slices.)
 */
export class LargeWebhooks {
  readonly #db: Db;
  readonly #ids: Ids;
  readonly #registry: RegistryTables;
  readonly #ledger: LedgerMemory;
  readonly #memory: DeliveryMemory;
  readonly #replays: ReplayWatch;
  #beside: Beside | null = null;

  constructor(
    db: Db,
    ids: Ids,
    registry: RegistryTables,
    ledger: LedgerMemory,
    replays = new ReplayWatch(),
    memory = new DeliveryMemory(),
  ) {
    this.#db = db;
    this.#ids = ids;
    this.#registry = registry;
    this.#ledger = ledger;
    this.#memory = memory;
    this.#replays = replays;
  }

  isLarge({ channel }: IncomingWebhook, { items, event }: Document): boolean {
    const targets = this.#registry.targets();
    if (items.length < 2 || items.length * (1 + targets.size) <= LARGEST_PIECE_ROWS) return false;
    const subscribers = [...targets.values()].filter(({ target }) => subscribes(target, channel, event));
    return items.length * (1 + subscribers.length) > LARGEST_PIECE_ROWS;
  }

  /**
   * For use in `GroupCommit.runAlone`.
   * @throws GatewayError GW_NOT_FOUND, GW_CHANNEL_MISMATCH; SqliteError. Nothing was changed
   */
  async record(webhook: IncomingWebhook, document: Document, now: number): Promise<Recorded> {
    const { registry, recorder, transaction } = (this.#beside ??= this.#open());
    transaction.begin();
    try {
      registry.clearCache(); // the first connection may have changed it
      const before = registry.version;
      const recorded = await inSlices(recorder.recordInSlices(webhook, document, now));
      transaction.commit();
      if (registry.version !== before) this.#registry.clearCache();
      return recorded;
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  close(): void {
    this.#beside?.db.close();
  }

  /**
   * Opened for the first large webhook: most gateways never get one, and the connection has a cache of its own. Its deliveries
   * are not leased as they are recorded; they wait behind those that were (I6).
   */
  #open(): Beside {
    const db = openBeside(this.#db);
    const registry = new RegistryTables(db);
    const own = new TransactionMemory();
    const counts = new TargetCounts(db, registry, this.#memory, own);
    const deliveries = new DeliveryTables(db, this.#ids, registry, counts, this.#memory);
    const recorder = createRecorder(db, this.#ids, registry, deliveries, this.#ledger, { replays: this.#replays });
    return { db, registry, recorder, transaction: new Transaction(db, registry, own) };
  }
}
