import type { WhapiMessage } from '../whapi/wire.js';

/** The simulated Whapi's cached messages, in order of time. Queries stay fast with tens of thousands of messages. */
export class MessageCache {
  readonly #byId = new Map<string, WhapiMessage>();
  /** Oldest first; messages of one second in order of arrival. */
  readonly #inOrder: WhapiMessage[] = [];

  get(id: string): WhapiMessage | undefined {
    return this.#byId.get(id);
  }

  add(message: WhapiMessage): void {
    this.remove(message.id);
    this.#byId.set(message.id, message);
    this.#inOrder.splice(this.#firstAfter(message.timestamp), 0, message);
  }

  remove(id: string): void {
    const message = this.#byId.get(id);
    if (!message) return;
    this.#byId.delete(id);
    this.#inOrder.splice(this.#inOrder.indexOf(message), 1);
  }

  /** Messages sent from `from` to `to`, in Unix seconds, both inclusive. */
  newestFirst(from = 0, to = Infinity): WhapiMessage[] {
    return this.#inOrder.slice(this.#firstAfter(from - 1), this.#firstAfter(to)).reverse();
  }

  /** Index of the first message sent after `second`. */
  #firstAfter(second: number): number {
    let [low, high] = [0, this.#inOrder.length];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#inOrder[middle]?.timestamp ?? 0) <= second) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
