import { HeldLanes } from './held-lanes.js';
import { Leases } from './leases.js';
import { Offers } from './offers.js';
import { TransactionMemory } from './transaction-memory.js';

/** What the process holds in memory about deliveries in flight. After a restart each of them is due again. */
export class DeliveryMemory {
  readonly leases: Leases;
  readonly lanes: HeldLanes;
  readonly offers: Offers;
  /** The numbers of the targets that may have ranked deliveries (paced-deliveries.ts). */
  readonly ranked = new Set<number>();

  /** @param firstToken see `Leases` */
  constructor(
    readonly transaction = new TransactionMemory(),
    firstToken = 0,
  ) {
    this.leases = new Leases(transaction, firstToken);
    this.lanes = new HeldLanes(transaction);
    this.offers = new Offers(transaction);
  }
}
