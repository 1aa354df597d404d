import fc from 'fast-check';
import { expect } from 'vitest';
import type { DeliveryStatus } from '../../../src/model.js';
import { LEASE, message, messages, target } from '../../support/store.js';
import type { StoreFixture } from '../../support/store.js';
import type { Delivery } from '../../../src/store/outbox.js';

export type OrderStep =
  | { readonly kind: 'record'; readonly chats: readonly string[] }
  | { readonly kind: 'claim'; readonly target: number; readonly limit: number }
  | { readonly kind: 'settle'; readonly which: number; readonly outcome: DeliveryStatus }
  | { readonly kind: 'leases run out' };

const recording = fc.record({
  kind: fc.constant('record' as const),
  chats: fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
});
const claiming = fc.record({
  kind: fc.constant('claim' as const),
  target: fc.nat(1),
  limit: fc.integer({ min: 1, max: 3 }),
});
const settling = fc.record({
  kind: fc.constant('settle' as const),
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
  readonly #store: StoreFixture;
  readonly #targets: readonly string[];
  readonly #recorded: Lanes = new Map();
  readonly #firstClaims: Lanes = new Map();
  #claimed: Delivery[] = [];
  #webhooks = 0;

  private constructor(fixture: StoreFixture, run: string) {
    this.#store = fixture;
    this.#targets = [`${run}-x`, `${run}-y`];
  }

  /** Runs with two targets of its own, which are removed at the end. */
  static async start(fixture: StoreFixture, run: string): Promise<OrderModel> {
    const model = new OrderModel(fixture, run);
    for (const id of model.#targets) await fixture.store.registry.addTarget(target(id));
    return model;
  }

  async play(step: OrderStep): Promise<void> {
    if (step.kind === 'record') await this.#record(step.chats);
    else if (step.kind === 'claim') await this.#claim(this.#targets[step.target] ?? '', step.limit);
    else if (step.kind === 'settle') await this.#settle(step.which, step.outcome);
    else {
      this.#store.clock.advance(LEASE);
      this.#claimed = [];
    }
  }

  /** Delivers what is left and compares. */
  async finish(): Promise<void> {
    let found = 1;
    while (found > 0) {
      while (this.#claimed.length > 0) await this.#settle(0, 'delivered');
      found = 0;
      for (const id of this.#targets) found += await this.#claim(id, 9);
    }
    for (const id of this.#targets) await this.#store.store.registry.removeTarget(id);
    expect(this.#firstClaims).toEqual(this.#recorded);
  }

  async #record(chats: readonly string[]): Promise<void> {
    this.#webhooks += 1;
    const items = chats.map((chat) => message(`${this.#targets.join()} ${this.#webhooks} ${chat}`, chat));
    await this.#store.record({ ...messages(...items), number: this.#webhooks });
    for (const id of this.#targets) for (const chat of chats) append(this.#recorded, `${id} ${chat}`, this.#webhooks);
  }

  async #claim(targetId: string, limit: number): Promise<number> {
    const { deliveries } = await this.#store.store.outbox.claim([{ targetId, limit }], LEASE);
    for (const delivery of deliveries) {
      const taken = this.#claimed.flatMap((other) => contentsOf(other).lanes);
      const { lanes, number } = contentsOf(delivery);
      expect(lanes.filter((lane) => taken.includes(lane))).toEqual([]);
      for (const lane of lanes) append(this.#firstClaims, lane, number);
      this.#claimed.push(delivery);
    }
    return deliveries.length;
  }

  async #settle(which: number, outcome: DeliveryStatus): Promise<void> {
    const [delivery] = this.#claimed.splice(which % Math.max(1, this.#claimed.length), 1);
    if (delivery) expect(await this.#store.settle(delivery, outcome, this.#store.clock.now())).toBe(true);
  }
}

function append(lanes: Lanes, lane: string, number: number): void {
  const numbers = lanes.get(lane) ?? [];
  if (!numbers.includes(number)) lanes.set(lane, [...numbers, number]);
}

function contentsOf(delivery: Delivery): { lanes: string[]; number: number } {
  const body = JSON.parse(delivery.body.toString()) as { messages: { chat_id: string }[]; number: number };
  return { lanes: body.messages.map(({ chat_id }) => `${delivery.target.id} ${chat_id}`), number: body.number };
}
