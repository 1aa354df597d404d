import fc from 'fast-check';
import { expect } from 'vitest';
import type { DeliveryStatus } from '../../../src/model.js';
import { first, LEASE, message, messages, target } from '../../support/store.js';
import type { StoreFixture } from '../../support/store.js';
import type { Delivery } from '../../../src/store/outbox.js';

export type OrderStep =
  | { readonly kind: 'record'; readonly handle: number; readonly chats: readonly string[] }
  | { readonly kind: 'claim'; readonly handle: number; readonly target: number; readonly limit: number }
  | { readonly kind: 'settle'; readonly handle: number; readonly which: number; readonly outcome: DeliveryStatus }
  | { readonly kind: 'leases run out' };

const recording = fc.record({
  kind: fc.constant('record' as const),
  handle: fc.nat(1),
  chats: fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
});
const claiming = fc.record({
  kind: fc.constant('claim' as const),
  handle: fc.nat(1),
  target: fc.nat(1),
  limit: fc.integer({ min: 1, max: 3 }),
});
const settling = fc.record({
  kind: fc.constant('settle' as const),
  handle: fc.nat(1),
  which: fc.nat(20),
  outcome: fc.constantFrom<DeliveryStatus[]>('delivered', 'dead', 'expired', 'pending'),
});
const leasesRunOut = fc.record({ kind: fc.constant('leases run out' as const) });

export const orderSteps: fc.Arbitrary<OrderStep[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: recording },
    { weight: 4, arbitrary: claiming },
    { weight: 4, arbitrary: settling },
    { weight: 1, arbitrary: leasesRunOut },
  ),
  { minLength: 10, maxLength: 50 },
);

/** A lane: one chat of one target. Its entries are named by the number of their webhook. */
type Lanes = Map<string, number[]>;

/** I6 as plain lists: what a lane must be sent, and what was claimed from it for the first time, in order. */
export class OrderModel {
  /** On one store; each step uses one of them. */
  readonly #handles: readonly StoreFixture[];
  readonly #targets: readonly string[];
  readonly #recorded: Lanes = new Map();
  readonly #firstClaims: Lanes = new Map();
  #claimed: Delivery[] = [];
  #webhooks = 0;

  private constructor(handles: readonly StoreFixture[], run: string) {
    this.#handles = handles;
    this.#targets = [`${run}-x`, `${run}-y`];
  }

  /** Runs with two targets of its own, which are removed at the end. */
  static async start(handles: readonly StoreFixture[], run: string): Promise<OrderModel> {
    const model = new OrderModel(handles, run);
    for (const id of model.#targets) await model.#handle(0).store.registry.addTarget(target(id));
    return model;
  }

  async play(step: OrderStep): Promise<void> {
    if (step.kind === 'record') await this.#record(this.#handle(step.handle), step.chats);
    else if (step.kind === 'claim')
      await this.#claim(this.#handle(step.handle), this.#targets[step.target] ?? '', step.limit);
    else if (step.kind === 'settle') await this.#settle(this.#handle(step.handle), step.which, step.outcome);
    else {
      this.#handle(0).clock.advance(LEASE);
      this.#claimed = [];
    }
  }

  /** Delivers what is left and compares. */
  async finish(): Promise<void> {
    const handle = this.#handle(0);
    let found = 1;
    while (found > 0) {
      while (this.#claimed.length > 0) await this.#settle(handle, 0, 'delivered');
      found = 0;
      for (const id of this.#targets) found += await this.#claim(handle, id, 9);
    }
    for (const id of this.#targets) await handle.store.registry.removeTarget(id);
    expect(this.#firstClaims).toEqual(this.#recorded);
  }

  #handle(number: number): StoreFixture {
    return at(this.#handles, number);
  }

  async #record(handle: StoreFixture, chats: readonly string[]): Promise<void> {
    this.#webhooks += 1;
    const items = chats.map((chat) => message(`${this.#targets.join()} ${this.#webhooks} ${chat}`, chat));
    await handle.record({ ...messages(...items), number: this.#webhooks });
    for (const id of this.#targets) for (const chat of chats) append(this.#recorded, `${id} ${chat}`, this.#webhooks);
  }

  async #claim(handle: StoreFixture, targetId: string, limit: number): Promise<number> {
    const { deliveries } = await handle.store.outbox.claim([{ targetId, limit }], LEASE);
    for (const delivery of deliveries) {
      const taken = this.#claimed.flatMap((other) => contentsOf(other).lanes);
      const { lanes, number } = contentsOf(delivery);
      expect(lanes.filter((lane) => taken.includes(lane))).toEqual([]);
      for (const lane of lanes) append(this.#firstClaims, lane, number);
      this.#claimed.push(delivery);
    }
    return deliveries.length;
  }

  async #settle(handle: StoreFixture, which: number, outcome: DeliveryStatus): Promise<void> {
    const [delivery] = this.#claimed.splice(which % Math.max(1, this.#claimed.length), 1);
    if (delivery) expect(await handle.settle(delivery, outcome, handle.clock.now())).toBe(true);
  }
}

function at<T>(list: readonly T[], number: number): T {
  return first(list.slice(number % list.length));
}

function append(lanes: Lanes, lane: string, number: number): void {
  const numbers = lanes.get(lane) ?? [];
  if (!numbers.includes(number)) lanes.set(lane, [...numbers, number]);
}

function contentsOf(delivery: Delivery): { lanes: string[]; number: number } {
  const body = JSON.parse(delivery.body.toString()) as { messages: { chat_id: string }[]; number: number };
  return { lanes: body.messages.map(({ chat_id }) => `${delivery.target.id} ${chat_id}`), number: body.number };
}
