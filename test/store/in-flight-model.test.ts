import fc from 'fast-check';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decode } from '../../src/intake/decode.js';
import type { Document } from '../../src/intake/decode.js';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import type { DeliveryStatus } from '../../src/model.js';
import type { Delivery } from '../../src/store/outbox.js';
import { temporaryFolder } from '../support/files.js';
import {
  channel,
  DAY,
  idsIn,
  LEASE,
  manualClock,
  message,
  messages,
  record,
  settlement,
  target,
} from '../support/store.js';
import type { Clock } from '../support/store.js';
import { systemEffects } from '../../src/effects.js';
import type { Store } from '../../src/store/store.js';

/**
 * Leases and lanes in memory against plain lists: whatever is offered, rolled back, settled, retried, restarted or left to run out,
 * whatever the clock does, each chat is sent in the order of recording, one delivery at a time, and nothing is lost (I4, I5, I6).
 */
type Step =
  | { readonly kind: 'offer'; readonly count: number }
  | { readonly kind: 'record'; readonly chats: readonly string[]; readonly undone: boolean }
  | { readonly kind: 'claim'; readonly limit: number }
  | { readonly kind: 'settle'; readonly which: number; readonly outcome: DeliveryStatus; readonly undone: boolean }
  | { readonly kind: 'retry'; readonly which: number; readonly undone: boolean }
  | { readonly kind: 'leases run out' | 'clock set back' | 'large webhook' | 'restart' };

const CHATS = ['a', 'b', 'c'];
/** Messages of each chat in a webhook that has a transaction of its own. */
const MANY = 170;

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('offer' as const), count: fc.nat(3) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('record' as const),
        chats: fc.subarray(CHATS, { minLength: 1 }),
        undone: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('claim' as const), limit: fc.integer({ min: 1, max: 3 }) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('settle' as const),
        which: fc.nat(9),
        outcome: fc.constantFrom<DeliveryStatus[]>('delivered', 'dead', 'expired', 'pending'),
        undone: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('retry' as const), which: fc.nat(99), undone: fc.boolean() }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('leases run out' as const, 'clock set back' as const, 'restart' as const),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'large webhook' as const }) },
  ),
  { minLength: 10, maxLength: 60 },
);

class Model {
  readonly #file = join(temporaryFolder(), 'gateway.db');
  readonly #clock: Clock = manualClock();
  readonly #recorded = new Map<string, string[]>();
  readonly #sent = new Map<string, string[]>();
  #store: Store;
  #held: Delivery[] = [];
  readonly #known: string[] = [];
  #number = 0;

  private constructor() {
    this.#store = this.#open();
  }

  static async start(): Promise<Model> {
    const model = new Model();
    await model.#store.registry.addChannel(channel('main'));
    await model.#store.registry.addTarget(target('bot'));
    return model;
  }

  #open(): Store {
    return openSqliteStore(this.#file, { ...systemEffects, now: this.#clock.now });
  }

  async play(step: Step): Promise<void> {
    if (step.kind === 'offer') this.#store.outbox.offer('bot', { count: step.count, bytes: 1e6, leaseMs: LEASE });
    else if (step.kind === 'record') await this.#record(step.chats, step.undone);
    else if (step.kind === 'claim') await this.#claim(step.limit);
    else if (step.kind === 'settle') await this.#settle(step.which, step.outcome, step.undone);
    else if (step.kind === 'retry') await this.#retry(step.which, step.undone);
    else if (step.kind === 'large webhook') await this.#record(CHATS, false, MANY);
    else if (step.kind === 'restart') await this.#restart();
    else if (step.kind === 'clock set back') {
      this.#clock.advance(-DAY);
      await this.#store.upkeep.clockSetBack(DAY);
    } else {
      this.#clock.advance(LEASE);
      this.#held = [];
    }
  }

  /** Sends what is left and compares. */
  async finish(): Promise<void> {
    for (let found = 1; found > 0;) {
      while (this.#held.length > 0) await this.#settle(0, 'delivered', false);
      found = await this.#claim(9);
    }
    expect(this.#sent).toEqual(this.#recorded);
    expect(await this.#store.outbox.loadOf('bot')).toMatchObject({ pending: 0, oldestPendingAt: null });
    await this.#store.close();
  }

  async #restart(): Promise<void> {
    await this.#store.close();
    this.#store = this.#open();
    for (const { id, lease } of this.#held)
      expect(await this.#store.outbox.settle(settlement({ id, lease }, 'delivered'))).toBe(false);
    this.#held = [];
  }

  async #record(chats: readonly string[], isUndone: boolean, perChat = 1): Promise<void> {
    const ids: string[] = [];
    for (let count = 0; count < perChat; count += 1) {
      this.#number += 1;
      for (const chat of chats) ids.push(`${this.#number}${chat}`);
    }
    const body = messages(...ids.map((id) => message(id, chatOf(id))));
    const [recorded] = await Promise.all([record(this.#store, body), isUndone && this.#rollBack()]);
    for (const id of ids) append(this.#recorded, chatOf(id), id);
    for (const delivery of recorded.leased) this.#take(delivery);
  }

  async #claim(limit: number): Promise<number> {
    const { deliveries } = await this.#store.outbox.claim([{ targetId: 'bot', limit }], LEASE);
    for (const delivery of deliveries) this.#take(delivery);
    return deliveries.length;
  }

  #take(delivery: Delivery): void {
    const busy = this.#held.flatMap((other) => idsIn([other])).map(chatOf);
    expect(idsIn([delivery]).filter((id) => busy.includes(chatOf(id)))).toEqual([]);
    for (const id of idsIn([delivery])) append(this.#sent, chatOf(id), id);
    this.#held.push(delivery);
    if (!this.#known.includes(delivery.id)) this.#known.push(delivery.id);
  }

  /** Of a delivery that was sent before: it may be settled, in flight or waiting for its next attempt. */
  async #retry(which: number, isUndone: boolean): Promise<void> {
    const id = this.#known[which % Math.max(1, this.#known.length)];
    if (id === undefined) return;
    await Promise.all([this.#store.outbox.retry(id), isUndone && this.#rollBack()]);
  }

  async #settle(which: number, outcome: DeliveryStatus, isUndone: boolean): Promise<void> {
    const [delivery] = this.#held.splice(which % Math.max(1, this.#held.length), 1);
    if (!delivery) return;
    const settled = this.#store.outbox.settle(settlement(delivery, outcome, this.#clock.now()));
    expect(await Promise.all([settled, isUndone && this.#rollBack()])).toEqual([true, isUndone && undefined]);
    expect(await this.#store.outbox.settle(settlement(delivery, 'dead'))).toBe(false);
  }

  /** Work without a savepoint that throws: everything in the same commit is rolled back and runs again. */
  async #rollBack(): Promise<void> {
    const webhook = {
      channel: 'main',
      method: 'POST',
      suffix: '',
      contentType: null,
      body: Buffer.from('{}'),
    } as const;
    const document = { ...decode(webhook.body, webhook), items: [null] } as unknown as Document;
    await expect(this.#store.intake.record(webhook, document)).rejects.toThrow();
  }
}

function chatOf(id: string): string {
  return id.slice(-1);
}

/** A delivery that is tried again is noted once. */
function append(lanes: Map<string, string[]>, chat: string, id: string): void {
  const ids = lanes.get(chat) ?? [];
  if (!ids.includes(id)) lanes.set(chat, [...ids, id]);
}

it('leases and lanes in memory follow every commit, rollback and restart (I4, I5, I6)', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const model = await Model.start();
      for (const step of list) await model.play(step);
      await model.finish();
    }),
    { numRuns: 60 },
  );
}, 120_000);
