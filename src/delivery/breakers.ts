import { retryAfterMs } from '../backoff.js';
import type { Effects } from '../effects.js';
import type { Breaker, Target } from '../model.js';
import {
  afterSignal,
  afterStart,
  CLOSED,
  closedManually,
  isTargetFailure,
  freeSlots,
  capNextProbe,
  afterAbortedProbe,
} from './breaker.js';
import type { BreakerIntervals } from './breaker.js';
import type { AttemptOutcome } from './policy.js';
import type { KeptBreakers } from '../store/breakers.js';
import type { Delivery } from '../store/outbox.js';

export interface BreakersOptions {
  readonly store: { readonly breakers: KeptBreakers };
  readonly intervals: BreakerIntervals;
  readonly effects: Pick<Effects, 'now' | 'random'>;
  /** Called when a breaker opens and when it closes again. */
  readonly onChange: (targetId: string, breaker: Breaker) => void;
}

/**
 * The circuit breakers of all targets. They live in memory and are stored when they open, close or finish their ramp: a
 * restart restores them, and an attempt costs no write.
 */
export class Breakers {
  readonly #options: BreakersOptions;
  readonly #breakers = new Map<string, Breaker>();
  /** By target: the delivery that is under way as its probe. */
  readonly #probes = new Map<string, string>();

  private constructor(options: BreakersOptions) {
    this.#options = options;
  }

  /** Restores the stored breakers. A target that was ramping up starts again with one request in flight. */
  static async load(options: BreakersOptions): Promise<Breakers> {
    const breakers = new Breakers(options);
    for (const { targetId, ...kept } of await options.store.breakers.notClosed()) {
      breakers.#breakers.set(targetId, { ...kept, ramp: kept.state === 'closed' ? 1 : null });
    }
    breakers.clockSetBack();
    return breakers;
  }

  /** The machine's clock was set back, or may have been while the gateway was stopped: caps all pauses. */
  clockSetBack(): void {
    const { intervals, effects } = this.#options;
    for (const [id, breaker] of this.#breakers) this.#breakers.set(id, capNextProbe(breaker, intervals, effects.now()));
  }

  of(targetId: string): Breaker {
    return this.#breakers.get(targetId) ?? CLOSED;
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

  /** A delivery starts now. */
  started({ id, target }: Pick<Delivery, 'id' | 'target'>): void {
    const before = this.of(target.id);
    const after = afterStart(before, this.#options.effects.now());
    if (after === before) return;
    this.#probes.set(target.id, id);
    this.#breakers.set(target.id, after);
  }

  /** The attempt ended; `outcome` is null if it was aborted. Resolves once a changed breaker is stored. */
  async ended(
    { id, target, event, verdicts }: Pick<Delivery, 'id' | 'target' | 'event' | 'verdicts'>,
    outcome: AttemptOutcome | null,
  ): Promise<void> {
    const { intervals, effects } = this.#options;
    const isProbe = this.#probes.get(target.id) === id;
    if (isProbe) this.#probes.delete(target.id);
    const before = this.of(target.id);
    if (outcome === null) {
      if (isProbe) this.#breakers.set(target.id, afterAbortedProbe(before));
      return;
    }
    const now = effects.now();
    const askedMs = outcome.kind === 'answered' ? retryAfterMs(outcome.retryAfter, now) : 0;
    const signal = { isTargetFailure: isTargetFailure(outcome, { event, verdicts }), isProbe, askedMs };
    await this.#become(target.id, afterSignal(before, signal, target.concurrency, intervals, now, effects.random()));
  }

  /** Closes a target's breaker on a manual request. */
  async close(targetId: string): Promise<void> {
    await this.#become(targetId, closedManually(this.of(targetId)));
  }

  async #become(targetId: string, after: Breaker): Promise<void> {
    const before = this.of(targetId);
    this.#breakers.set(targetId, after);
    const hasOpened = after.state === 'open' && after.nextProbeAt !== before.nextProbeAt;
    const hasClosed = after.state === 'closed' && before.state !== 'closed';
    const hasFinishedRamp = after.ramp === null && before.ramp !== null && after.state === 'closed';
    if (hasClosed || (hasOpened && before.state === 'closed')) this.#options.onChange(targetId, after);
    if (hasOpened || hasClosed) await this.#options.store.breakers.keep(targetId, after);
    else if (hasFinishedRamp) await this.#options.store.breakers.keep(targetId, null);
  }
}
