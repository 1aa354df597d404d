import type { ChatFacts, Delivery } from '../store/outbox.js';
import { SLOTS_PER_RETRY } from './slots.js';

/**
 * The leased deliveries of one target, as a state machine without effects. A delivery is
 *
 * - queued: leased, its body in memory, waiting for a slot. The queue looks ahead of the slots, so that an answer starts the
 *   next attempt at once, and claims come in batches.
 * - in flight: sent. It occupies a slot.
 * - unsettled: its outcome waits for its commit. The slot is free, but the lease is kept (I5), and nothing else of its chats
 *   can be claimed (I6).
 * - refused: the store did not take its outcome. It occupies a slot again, so that no more is sent than the store can record.
 * - done: settled, or returned to the store without an attempt, or its lease has run out.
 *
 * First attempts and retries have queues of their own. While both wait, every fourth attempt is a retry; `Slots` limits how many retries
 * are leased at all, so that hanging retries never take all slots.
 *
 * What each event does:
 *
 * - A slot is free: the next delivery starts, with the target's settings of that moment. If these leave it out, it is settled
 *   as expired, answered … instead, and uses neither a slot nor the rate. While facts that decide this are read, it stays
 *   queued, and nothing else of the queue starts.
 * - Settings, secret or concurrency are changed: nothing happens here. The next start uses them.
 * - The target is disabled or removed: the queue is returned. Attempts in flight end as usual.
 * - The breaker opens: the queue is returned. After the pause one delivery is claimed, as the probe.
 * - An attempt fails, or the breaker ramps up: the queue looks ahead no more until the target is healthy.
 * - The rate is used up: the queue waits for the next token. No more is claimed than there are tokens.
 * - 410 (Gone): nothing starts until the target is disabled or the store has said that its URL was changed.
 * - The store refuses outcomes: they occupy slots, and the number of unsettled ones is limited.
 * - Nothing started for MOST_QUEUED_MS, or the clock was set back: the queue is returned, so that no lease runs out in it.
 *   It looks ahead again after the next attempt.
 * - A lease runs out early because the clock was set forward, and the delivery is claimed again: the attempt under way goes
 *   on, and its outcome is settled with the new lease. Only a refused outcome is given up, and its delivery queued again.
 * - A lease runs out in the queue, because the gateway stood still: its delivery is returned.
 * - The gateway stops: the queue is returned. Attempts in flight get the grace period, and are returned if they are aborted.
 *
 * Returned means: pending and due as before, and no attempt was made.
 */
export class TargetQueue {
  readonly targetId: string;
  readonly #targets: () => number;
  /** At most a few hundred, so that `shift` takes 50 ns. */
  readonly #firstAttempts: Leased[] = [];
  readonly #retries: Leased[] = [];
  /** By delivery: all that are not done. */
  readonly #leased = new Map<string, Leased>();
  readonly #count = { inFlight: 0, unsettled: 0, refused: 0, gone: 0, started: 0 };
  /** The delivery whose facts are being read. */
  #lookingUp: Leased | null = null;
  /** What was just read. */
  #known: { readonly of: Leased; readonly facts: ChatFacts } | null = null;
  /** How long an attempt takes: a moving average. Null: not known. */
  #attemptMs: number | null = null;

  /** @param targets how many are enabled: they share what is read ahead in all */
  constructor(targetId: string, targets: () => number) {
    this.targetId = targetId;
    this.#targets = targets;
  }

  get queued(): number {
    return this.#firstAttempts.length + this.#retries.length;
  }

  /** The slots that are taken. */
  get busy(): number {
    return this.#count.inFlight + this.#count.refused;
  }

  /** Whether none of its deliveries is leased. */
  get isIdle(): boolean {
    return this.#leased.size === 0;
  }

  /** Whether an attempt may start, apart from free slots, breaker and rate. `slots`: the target's concurrency. */
  mayStart(slots: number): boolean {
    const { unsettled, refused, gone } = this.#count;
    return this.#lookingUp === null && gone === 0 && unsettled + refused < slots * UNSETTLED_PER_SLOT;
  }

  /** How many more deliveries may be leased; `free` of them can start now. */
  places(free: number, slots: number, isHealthy: boolean): number {
    if (!this.mayStart(slots)) return 0;
    return Math.max(0, free + this.#ahead(slots, isHealthy) - this.queued);
  }

  /** How many of those places to claim for: none before half of the look-ahead is used up, so that claims are large. */
  wanted(free: number, slots: number, isHealthy: boolean): number {
    return this.isLow(slots, isHealthy) ? this.places(free, slots, isHealthy) : 0;
  }

  isLow(slots: number, isHealthy: boolean): boolean {
    return this.queued <= this.#ahead(slots, isHealthy) / 2;
  }

  /**
   * Queues a delivery and returns true. Returns false if it is here already, because it was claimed again: the new lease
   * settles the attempt under way, or `end` returns the delivery to be queued.
   */
  add(delivery: Delivery, now: number): boolean {
    const earlier = this.#leased.get(delivery.id);
    if (earlier && earlier.state !== 'refused') {
      earlier.newer = delivery;
      return false;
    }
    const { lease } = delivery;
    const leased: Leased = { delivery, lease, newer: null, queuedAt: now, state: 'queued', isGone: false };
    this.#leased.set(delivery.id, leased);
    this.#lineOf(delivery).push(leased);
    return true;
  }

  /** The delivery that starts next. */
  next(): Leased | null {
    const [first, retry] = [this.#firstAttempts[0], this.#retries[0]];
    const isTurnOfRetry = this.#count.started % SLOTS_PER_RETRY === SLOTS_PER_RETRY - 1;
    return (isTurnOfRetry ? (retry ?? first) : (first ?? retry)) ?? null;
  }

  /** `next` starts. */
  start(next: Leased): void {
    move(next, 'queued', 'in flight');
    this.#lineOf(next.delivery).shift();
    this.#count.inFlight += 1;
    this.#count.started += 1;
  }

  /** The facts of the delivery that comes next are being read. */
  get isLookingUp(): boolean {
    return this.#lookingUp !== null;
  }

  /** The facts of `next` are being read. */
  lookUp(next: Leased): void {
    this.#lookingUp = next;
  }

  /** They are read. Nothing happens if the queue was returned meanwhile. */
  know(leased: Leased, facts: ChatFacts): void {
    if (this.#lookingUp !== leased) return;
    this.#lookingUp = null;
    this.#known = { of: leased, facts };
  }

  /** What was just read of `next`; null: nothing. Valid once: a moment later it has to be read again. */
  takeFacts(next: Leased): ChatFacts | null {
    const known = this.#known;
    this.#known = null;
    return known?.of === next ? known.facts : null;
  }

  /** Whether its lease has run out: another gateway may have sent it, and what comes after it, while this one stood still. */
  hasLapsed({ delivery, newer }: Leased, now: number): boolean {
    return now >= (newer ?? delivery).leaseEndsAt;
  }

  /** `next` is not sent: it is too old, or left out. */
  leaveOut(next: Leased): void {
    move(next, 'queued', 'unsettled');
    this.#lineOf(next.delivery).shift();
    this.#count.unsettled += 1;
  }

  /** The lease with which to settle a delivery now. */
  leaseOf(leased: Leased): number {
    if (leased.newer) leased.lease = leased.newer.lease;
    leased.newer = null;
    return leased.lease;
  }

  /** The attempt ended after `tookMs` milliseconds; null: it was not made. `isGone`: the target answered 410 (Gone). */
  answer(leased: Leased, tookMs: number | null, isGone: boolean): void {
    move(leased, 'in flight', 'unsettled');
    leased.isGone = isGone;
    this.#count.inFlight -= 1;
    this.#count.unsettled += 1;
    this.#count.gone += isGone ? 1 : 0;
    if (tookMs === null) return;
    this.#attemptMs = this.#attemptMs === null ? tookMs : this.#attemptMs + (tookMs - this.#attemptMs) * WEIGHT;
  }

  /** The store refused its outcome, for the first time or again. */
  refuse(leased: Leased): void {
    if (leased.state === 'refused') return;
    move(leased, 'unsettled', 'refused');
    this.#count.unsettled -= 1;
    this.#count.refused += 1;
  }

  /**
   * It is settled or returned, its lease has run out, or something failed unexpectedly. Returns the delivery if it was
   * claimed again meanwhile, to queue it.
   */
  end(leased: Leased): Delivery | null {
    if (leased.state === 'in flight') this.#count.inFlight -= 1;
    else if (leased.state === 'unsettled') this.#count.unsettled -= 1;
    else if (leased.state === 'refused') this.#count.refused -= 1;
    this.#count.gone -= leased.isGone ? 1 : 0;
    leased.state = 'done';
    const { id } = leased.delivery;
    if (this.#leased.get(id) === leased) this.#leased.delete(id);
    return leased.newer;
  }

  /** Whether a delivery has been queued for too long, or the clock was set to before the time at which it was queued. */
  isStale(now: number): boolean {
    return [this.#firstAttempts[0], this.#retries[0]].some(
      (first) => first && (now < first.queuedAt || now - first.queuedAt > MOST_QUEUED_MS),
    );
  }

  /** Empties the queue, so that it can be returned. */
  drain(): readonly Leased[] {
    const drained = [...this.#firstAttempts.splice(0), ...this.#retries.splice(0)];
    for (const each of drained) move(each, 'queued', 'unsettled');
    this.#count.unsettled += drained.length;
    this.#lookingUp = null;
    return drained;
  }

  /** The target has stalled: no look-ahead until an attempt has ended. */
  stall(): void {
    this.#attemptMs = null;
  }

  /** How many deliveries the target takes within AHEAD_MS at its present pace. */
  #ahead(slots: number, isHealthy: boolean): number {
    if (!isHealthy || this.#attemptMs === null) return 0;
    const share = Math.floor(MOST_AHEAD_IN_ALL / Math.max(1, this.#targets()));
    return Math.min(MOST_AHEAD, share, Math.floor((slots * AHEAD_MS) / Math.max(1, this.#attemptMs)));
  }

  #lineOf({ attempts }: Delivery): Leased[] {
    return attempts > 0 ? this.#retries : this.#firstAttempts;
  }
}

/** A delivery that this gateway has leased. Only its queue changes it. */
export interface Leased {
  readonly delivery: Delivery;
  /** The lease that settles it. */
  lease: number;
  /** The same delivery, claimed again: its lease had run out, or its settlement was committed a moment ago. */
  newer: Delivery | null;
  readonly queuedAt: number;
  state: LeasedState;
  isGone: boolean;
}

type LeasedState = 'queued' | 'in flight' | 'unsettled' | 'refused' | 'done';

/** Outcomes that may wait for their commit. A crash repeats these attempts, as it repeats those in flight. */
const UNSETTLED_PER_SLOT = 4;
/** The queue holds what the target takes within this time, and no more than MOST_AHEAD. */
const AHEAD_MS = 500;
const MOST_AHEAD = 512;
/** Of all targets. The store passes over every lease to find what is due, at 0.7 µs each. */
const MOST_AHEAD_IN_ALL = 16_384;
/** How long a delivery may be queued: a small part of its lease. */
const MOST_QUEUED_MS = 5000;
/** The weight of the last attempt in the moving average. */
const WEIGHT = 1 / 16;

function move(leased: Leased, from: LeasedState, to: LeasedState): void {
  if (leased.state !== from) throw new Error(`Delivery ${leased.delivery.id} is ${leased.state}, not ${from}.`);
  leased.state = to;
}
