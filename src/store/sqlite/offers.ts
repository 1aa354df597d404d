import { TransactionMemory } from './transaction-memory.js';
import type { Offer } from '../outbox.js';

/** How many new deliveries of each target may be leased as they are recorded. A rollback gives back what it spent. */
export class Offers {
  readonly #memory: TransactionMemory;
  readonly #byTarget = new Map<string, Offer>();

  constructor(memory = new TransactionMemory()) {
    this.#memory = memory;
  }

  /** What is left of the target's offer; undefined: nothing. */
  of(targetId: string): Offer | undefined {
    return this.#byTarget.get(targetId);
  }

  set(targetId: string, offer: Offer): void {
    if (offer.count > 0 && offer.bytes > 0) this.#byTarget.set(targetId, offer);
    else this.#byTarget.delete(targetId);
  }

  /** A delivery with a body of this many bytes was leased. */
  spend(targetId: string, offer: Offer, bytes: number): void {
    this.set(targetId, { ...offer, count: offer.count - 1, bytes: offer.bytes - bytes });
    this.#memory.changed(() => this.set(targetId, offer));
  }
}
