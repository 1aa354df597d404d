import { keysIn } from '../rules/keys.js';
import { TransactionMemory } from './transaction-memory.js';

interface Holder {
  readonly id: number;
  /** Another delivery may wait in the lane. */
  isWaitedFor: boolean;
}

/**
 * The lanes (I6) of deliveries that were leased as they were recorded. Most deliveries are settled before the next one of
 * their chat arrives, so their lanes are held in memory, and only deliveries that wait behind them have rows. A rollback undoes
 * the changes of its transaction.
 */
export class HeldLanes {
  readonly #memory: TransactionMemory;
  readonly #holders = new Map<string, Holder>();

  constructor(memory = new TransactionMemory()) {
    this.#memory = memory;
  }

  /** The delivery that holds a lane. */
  holderOf(target: number, lane: Buffer): number | undefined {
    return this.#holders.get(nameOf(target, lane))?.id;
  }

  /** Whether a delivery that joins the lane must wait for its holder. If so, `free` will return the lane. */
  waitFor(target: number, lane: Buffer): boolean {
    const holder = this.#holders.get(nameOf(target, lane));
    if (!holder) return false;
    holder.isWaitedFor = true; // a rollback leaves it: `free` then returns the lane for nothing
    return true;
  }

  /** Makes the delivery the holder of these lanes, none of which may have one. */
  hold(target: number, lanes: Buffer, id: number): void {
    for (const lane of keysIn(lanes)) {
      const name = nameOf(target, lane);
      this.#holders.set(name, { id, isWaitedFor: false });
      this.#memory.changed(() => this.#holders.delete(name));
    }
  }

  /** Frees the lanes of their holder. Returns those in which another delivery may wait. */
  free(target: number, lanes: Buffer): Buffer[] {
    const waiting: Buffer[] = [];
    for (const lane of keysIn(lanes)) {
      const name = nameOf(target, lane);
      const holder = this.#holders.get(name);
      if (!holder) continue;
      this.#holders.delete(name);
      this.#memory.changed(() => this.#holders.set(name, holder));
      if (holder.isWaitedFor) waiting.push(lane);
    }
    return waiting;
  }
}

function nameOf(target: number, lane: Buffer): string {
  return `${target} ${lane.toString('latin1')}`;
}
