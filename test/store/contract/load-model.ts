import fc from 'fast-check';
import { expect } from 'vitest';
import { allPages, HOUR, LEASE, message, messages, runJob, settlement, status, target } from '../../support/store.js';
import type { StoreFixture } from '../../support/store.js';
import type { DeliveryView } from '../../../src/store/deliveries.js';
import type { Delivery, TargetLoad } from '../../../src/store/outbox.js';

const END = ['delivered', 'dead', 'no handler', 'expired', 'again', 'not attempted'] as const;
type End = (typeof END)[number];

export type LoadStep =
  | { readonly kind: 'record'; readonly chats: readonly string[] }
  | { readonly kind: 'receipt' }
  | { readonly kind: 'claim'; readonly target: number; readonly limit: number }
  | { readonly kind: 'settle'; readonly which: number; readonly end: End }
  | { readonly kind: 'retry'; readonly which: number }
  | { readonly kind: 'retry all dead' | 'hours pass' | 'leases run out' | 'restart' | 'remove a target' };

const rare = fc.constantFrom('retry all dead', 'hours pass', 'leases run out', 'restart', 'remove a target');

export const loadSteps: fc.Arbitrary<LoadStep[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('record' as const),
        chats: fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('receipt' as const) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('claim' as const),
        target: fc.nat(1),
        limit: fc.integer({ min: 1, max: 4 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('settle' as const),
        which: fc.nat(20),
        end: fc.constantFrom(...END),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('retry' as const), which: fc.nat(40) }) },
    { weight: 1, arbitrary: fc.record({ kind: rare }) },
  ),
  { minLength: 10, maxLength: 50 },
);

/** Runs the steps on a store of its own and compares the stored load of each target with its lists. */
export class LoadModel {
  readonly #store: StoreFixture;
  readonly #unhandled = new Set<string>();
  #targets: readonly string[] = [];
  #claimed: Delivery[] = [];
  #made = 0;

  private constructor(fixture: StoreFixture) {
    this.#store = fixture;
  }

  static async start(fixture: StoreFixture): Promise<LoadModel> {
    const model = new LoadModel(fixture);
    for (const end of ['x', 'y']) await model.#addTarget(end);
    return model;
  }

  async play(step: LoadStep): Promise<void> {
    const { clock } = this.#store;
    if (step.kind === 'record') await this.#record(step.chats);
    else if (step.kind === 'receipt') await this.#store.record({ ...status('A', 'a'), number: (this.#made += 1) });
    else if (step.kind === 'claim') await this.#claim(this.#targets[step.target] ?? '', step.limit);
    else if (step.kind === 'settle') await this.#settle(step.which, step.end);
    else if (step.kind === 'retry') await this.#retry(step.which);
    else if (step.kind === 'retry all dead') await this.#retryAllDead();
    else if (step.kind === 'remove a target') await this.#replaceTarget();
    else if (step.kind === 'restart') await this.#store.restart();
    else clock.advance(step.kind === 'hours pass' ? 11 * HOUR : LEASE);
    if (step.kind === 'leases run out' || step.kind === 'hours pass' || step.kind === 'restart') this.#claimed = [];
    for (const id of this.#targets)
      expect(await this.#store.store.outbox.loadOf(id)).toMatchObject(await this.#counted(id));
  }

  /** The same load, computed from the lists. */
  async #counted(id: string): Promise<Omit<TargetLoad, 'lastError'>> {
    const all = (await this.#deliveries()).filter((each) => each.target === id);
    const pending = all.filter((each) => each.status === 'pending');
    const since = (Math.floor(this.#store.clock.now() / HOUR) - 24) * HOUR;
    const dead = all.filter((each) => each.status === 'dead' && (each.settledAt ?? 0) >= since);
    const unhandled = dead.filter((each) => this.#unhandled.has(each.id));
    const events = [...new Set(unhandled.map(({ event }) => event))].sort();
    return {
      pending: pending.length,
      oldestPendingAt: pending.at(-1)?.createdAt ?? null,
      deadLastDay: dead.length - unhandled.length,
      unhandledLastDay: events.map((event) => ({
        event,
        count: unhandled.filter((each) => each.event === event).length,
      })),
    };
  }

  async #deliveries(): Promise<DeliveryView[]> {
    return await allPages(500, async (page) => await this.#store.store.outbox.deliveries({}, page));
  }

  async #record(chats: readonly string[]): Promise<void> {
    this.#made += 1;
    await this.#store.record(messages(...chats.map((chat) => message(`${this.#made} ${chat}`, chat))));
  }

  async #claim(targetId: string, limit: number): Promise<void> {
    const { deliveries } = await this.#store.store.outbox.claim([{ targetId, limit }], LEASE);
    this.#claimed.push(...deliveries);
  }

  async #settle(which: number, end: End): Promise<void> {
    const [delivery] = this.#claimed.splice(which % Math.max(1, this.#claimed.length), 1);
    if (!delivery) return;
    const outcome = end === 'no handler' ? 'dead' : end === 'again' || end === 'not attempted' ? 'pending' : end;
    await this.#store.store.outbox.settle({
      ...settlement(delivery, outcome, this.#store.clock.now()),
      ...(end === 'not attempted' && { attempt: null }),
      ...(end === 'no handler' && { cause: 'no_handler' }),
    });
    if (end === 'no handler') this.#unhandled.add(delivery.id);
  }

  async #retry(which: number): Promise<void> {
    const living = (await this.#deliveries()).filter(({ target: id }) => this.#targets.includes(id));
    const chosen = living[which % Math.max(1, living.length)];
    if (!chosen) return;
    await this.#store.store.outbox.retry(chosen.id);
    this.#unhandled.delete(chosen.id);
  }

  async #retryAllDead(): Promise<void> {
    await runJob(this.#store, { kind: 'retry', filter: { status: 'dead' } });
    this.#unhandled.clear();
  }

  async #replaceTarget(): Promise<void> {
    const [gone = '', ...others] = this.#targets;
    this.#targets = others;
    this.#claimed = this.#claimed.filter((each) => each.target.id !== gone);
    await this.#store.store.registry.removeTarget(gone);
    expect(await this.#store.store.outbox.loadOf(gone)).toMatchObject({
      pending: 0,
      deadLastDay: 0,
      oldestPendingAt: null,
    });
    await this.#addTarget(`after ${gone}`);
  }

  async #addTarget(id: string): Promise<void> {
    await this.#store.store.registry.addTarget(target(id));
    this.#targets = [...this.#targets, id];
  }
}
