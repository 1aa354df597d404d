import { retryAfterMs } from '../backoff.js';
import type { Effects } from '../effects.js';
import type { Breaker, Target } from '../model.js';
import {
  adopted,
  afterSignal,
  afterStart,
  CLOSED,
  closedManually,
  isTargetFailure,
  freeSlots,
  capNextProbe,
  afterAbortedProbe,
  keptOf,
  toStore,
} from './breaker.js';
import type { BreakerIntervals } from './breaker.js';
import type { AttemptOutcome } from './policy.js';
import { AFTER_FAULT_MS } from '../loop.js';
import type { KeptBreakers, StoredBreaker } from '../store/breakers.js';
import type { Delivery } from '../store/outbox.js';

export interface BreakersOptions {
  readonly store: { readonly breakers: KeptBreakers };
  readonly intervals: BreakerIntervals;
  readonly effects: Pick<Effects, 'now' | 'random'>;
  /** Called when a breaker opens and when it closes again. */
  readonly onChange: (targetId: string, breaker: Breaker) => void;
}

/** The longest attempt. */
const MOST_ATTEMPT_MS = 120_000;

interface Held {
  breaker: Breaker;
  /** The version that is stored, as far as this process knows. */
  version: number;
  /** When the lease of another replica's probe ends; null: there is none. */
  othersProbeUntil: number | null;
}

/**
 * The circuit breakers of all targets. They live in memory and are stored when they open, close, probe or finish their ramp:
 * a restart restores them, an attempt costs no write, and replicas share them. Who loses the race for a
 * change takes over what is stored, and applies its own result to that.
 */
export class Breakers {
  readonly #options: BreakersOptions;
  readonly #held = new Map<string, Held>();
  /** By target: the delivery that is under way as its probe. */
  readonly #probes = new Map<string, string>();
  #lastRead: readonly StoredBreaker[] = [];

  private constructor(options: BreakersOptions) {
    this.#options = options;
  }

  /** Restores the stored breakers. A target that was ramping up starts again with one request in flight. */
  static async load(options: BreakersOptions): Promise<Breakers> {
    const breakers = new Breakers(options);
    await breakers.refresh();
    breakers.clockSetBack();
    return breakers;
  }

  /** Takes over what other replicas have stored. Costs next to nothing if nothing changed. */
  async refresh(): Promise<void> {
    const all = await this.#options.store.breakers.all();
    if (all === this.#lastRead) return;
    this.#lastRead = all;
    for (const stored of all) this.#adopt(stored);
  }

  /** The machine's clock was set back, or may have been while the gateway was stopped: caps all pauses. */
  clockSetBack(): void {
    const { intervals, effects } = this.#options;
    const now = effects.now();
    for (const held of this.#held.values()) {
      held.breaker = capNextProbe(held.breaker, intervals, now);
      if (held.othersProbeUntil !== null)
        held.othersProbeUntil = Math.min(held.othersProbeUntil, now + MOST_ATTEMPT_MS + intervals.probeMarginMs);
    }
  }

  of(targetId: string): Breaker {
    const held = this.#held.get(targetId);
    if (!held) return CLOSED;
    // The process that probes has not stored a result in time: it is gone.
    if (held.othersProbeUntil !== null && this.#options.effects.now() >= held.othersProbeUntil)
      this.#set(held, afterAbortedProbe(held.breaker));
    return held.breaker;
  }

  /** How many more deliveries may start. `underWay`: those in flight. */
  freeSlots({ id, concurrency }: Target, underWay: number): number {
    return freeSlots(this.of(id), concurrency, underWay, this.#options.effects.now());
  }

  /** When the next probe of a target may start; null if the breaker does not delay it. */
  nextProbeAt(targetId: string): number | null {
    const { state, nextProbeAt } = this.of(targetId);
    return state === 'open' && nextProbeAt !== null && nextProbeAt > this.#options.effects.now() ? nextProbeAt : null;
  }

  /** A delivery starts now. A promise: it is the probe, unless the promise resolves with false: another replica probes. */
  started({ id, target }: Pick<Delivery, 'id' | 'target'>): true | Promise<boolean> {
    const before = this.of(target.id);
    const after = afterStart(before, this.#options.effects.now());
    if (after === before) return true;
    this.#probes.set(target.id, id);
    this.#set(this.#heldOf(target.id), after);
    return this.#takeProbe(target, before);
  }

  async #takeProbe({ id, timeoutMs }: Target, before: Breaker): Promise<boolean> {
    const held = this.#heldOf(id);
    const { store, effects, intervals } = this.#options;
    try {
      const leaseMs = timeoutMs + intervals.probeMarginMs;
      const { isMade, stored } = await store.breakers.takeProbe(id, held.version, keptOf(before), leaseMs);
      if (isMade) held.version = Math.max(held.version, stored.version);
      else {
        this.#probes.delete(id);
        if (!this.#adopt(stored)) this.#set(held, afterAbortedProbe(held.breaker));
      }
      return isMade;
    } catch (error) {
      this.#probes.delete(id);
      this.#set(held, { ...afterAbortedProbe(held.breaker), nextProbeAt: effects.now() + AFTER_FAULT_MS });
      throw error;
    }
  }

  /** The attempt ended; `outcome` is null if it was aborted. Resolves once a changed breaker is stored. */
  async ended(
    { id, target, event, verdicts }: Pick<Delivery, 'id' | 'target' | 'event' | 'verdicts'>,
    outcome: AttemptOutcome | null,
  ): Promise<void> {
    const { intervals, effects } = this.#options;
    const isProbe = this.#probes.get(target.id) === id;
    if (isProbe) this.#probes.delete(target.id);
    if (outcome === null) {
      if (isProbe) await this.#change(target.id, afterAbortedProbe);
      return;
    }
    const [now, random] = [effects.now(), effects.random()];
    const askedMs = outcome.kind === 'answered' ? retryAfterMs(outcome.retryAfter, now) : 0;
    const signal = { isTargetFailure: isTargetFailure(outcome, { event, verdicts }), askedMs };
    // Once another replica has changed the breaker, the probe is no longer the one that its state waits for.
    await this.#change(target.id, (before, isFirst) =>
      afterSignal(before, { ...signal, isProbe: isProbe && isFirst }, target.concurrency, intervals, now, random),
    );
  }

  /** Closes a target's breaker on a manual request. */
  async close(targetId: string): Promise<void> {
    await this.refresh();
    await this.#change(targetId, closedManually);
  }

  async #change(targetId: string, change: (before: Breaker, isFirst: boolean) => Breaker): Promise<void> {
    for (let isFirst = true; ; isFirst = false) {
      const before = this.of(targetId);
      const after = change(before, isFirst);
      if (after === before) return;
      const held = this.#heldOf(targetId);
      this.#set(held, after);
      if (isFirst && (after.state === 'closed') !== (before.state === 'closed'))
        this.#options.onChange(targetId, after);
      const kept = toStore(before, after);
      if (kept === undefined) return;
      const { isMade, stored } = await this.#options.store.breakers.change(targetId, held.version, kept);
      if (isMade) {
        held.version = Math.max(held.version, stored.version);
        return;
      }
      this.#adopt(stored);
    }
  }

  /** Takes over what another replica has stored. Returns false if it is known already. */
  #adopt(stored: StoredBreaker): boolean {
    const held = this.#heldOf(stored.targetId);
    if (stored.version <= held.version) return false;
    this.#set(held, adopted(held.breaker, stored, this.#options.effects.now()), stored.probeUntil);
    held.version = stored.version;
    return true;
  }

  #set(held: Held, breaker: Breaker, othersProbeUntil: number | null = null): void {
    held.breaker = breaker;
    held.othersProbeUntil = othersProbeUntil;
  }

  #heldOf(targetId: string): Held {
    const existing = this.#held.get(targetId);
    if (existing) return existing;
    const created: Held = { breaker: CLOSED, version: 0, othersProbeUntil: null };
    this.#held.set(targetId, created);
    return created;
  }
}
