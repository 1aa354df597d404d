import type { Effects } from '../effects.js';
import { factsFor, isPaced, NO_CHAT_FACTS } from '../intake/backlog.js';
import { startLoop } from '../loop.js';
import type { Target } from '../model.js';
import { createAttempts } from './attempts.js';
import { isHealthy } from './breaker.js';
import type { Breakers } from './breakers.js';
import type { DeliveryNotices } from './notices.js';
import { createLookUps } from './look-ups.js';
import { expiryReason, leftOut } from './policy.js';
import type { UnsentEnd } from './policy.js';
import type { Sender } from './send.js';
import { Slots } from './slots.js';
import { TargetQueue } from './target-queue.js';
import type { Leased } from './target-queue.js';
import { createTargets } from './targets.js';
import type { Recorded } from '../store/intake.js';
import type { ClaimWant, Delivery, Outbox } from '../store/outbox.js';
import type { Registry } from '../store/registry.js';
import type { Replicas } from '../store/replicas.js';

export interface DeliveryOptions {
  readonly store: {
    readonly outbox: Pick<Outbox, 'due' | 'claim' | 'offer' | 'chatFacts' | 'settle'>;
    readonly registry: Pick<Registry, 'targets' | 'disableTarget'>;
    readonly replicas: Pick<Replicas, 'alive'>;
  };
  readonly sender: Pick<Sender, 'send' | 'destroy'>;
  readonly breakers: Pick<Breakers, 'refresh' | 'of' | 'freeSlots' | 'nextProbeAt' | 'started' | 'ended'>;
  /** Pauses between attempts, for targets without a schedule of their own. */
  readonly delaysMs: readonly number[];
  /** How long a delivery is leased: its attempt and its settlement. */
  readonly leaseMs?: number;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
  readonly notices: Pick<DeliveryNotices, 'onSettled' | 'onDisabled'>;
}

export interface DeliveryLoop {
  /** A hint that deliveries may have become due. */
  wake(): void;
  /** A webhook was recorded: takes over the deliveries that were leased with it, and looks for the others. */
  handOver(recorded: Pick<Recorded, 'deliveries' | 'leased'>): void;
  /**
   * Claims and starts no more, returns what is queued, gives attempts under way `graceMs`, then aborts them: their
   * deliveries become due again.
   */
  stop(graceMs: number): Promise<void>;
}

/**
 * The longest attempt (120 s) plus three minutes in which the store may refuse its settlement, for example on a full
 * disk. A few seconds of it may pass in the queue.
 */
export const DELIVERY_LEASE_MS = 300_000;
/** The longest pause between two polls for due deliveries. */
const IDLE_MS = 1000;

/**
 * Leases deliveries, sends them and settles them. A delivery is leased by a claim once it is due, or as it is recorded, if
 * its target had an offer. It then goes through its target's queue (TargetQueue) to an attempt and its settlement. How much
 * a target may lease depends on its slots, its breaker, its rate and its share of the memory.
 */
export function startDeliveryLoop(options: DeliveryOptions): DeliveryLoop {
  const { store, breakers, leaseMs = DELIVERY_LEASE_MS, effects, onError } = options;
  const slots = new Slots();
  const queues = new Map<string, TargetQueue>();
  /** Queues from which an attempt may start. */
  const toStart = new Set<TargetQueue>();
  /** Queues that the next turn reviews, with those of the targets that it claims for. */
  const toReview = new Set<TargetQueue>();
  const targets = createTargets(store.registry, store.replicas);
  let isStopping = false;
  let isStartPlanned = false;

  const queueOf = (targetId: string): TargetQueue => {
    const existing = queues.get(targetId);
    if (existing) return existing;
    const created = new TargetQueue(targetId, () => targets.count);
    queues.set(targetId, created);
    return created;
  };

  const attempts = createAttempts({
    ...options,
    onAnswer: (queue) => planStart(queue),
    onEnd: (queue, delivery, again) => {
      slots.release(delivery);
      if (again) take([again], effects.now());
      planStart(queue);
      if (isLow(queue)) loop.wake(); // the next delivery of its chats may be due
    },
  });

  const lookUps = createLookUps({ ...options, onKnown: (queue) => planStart(queue) });

  /** Whether a turn would claim for the target, if something is due. */
  const isLow = ({ targetId }: TargetQueue): boolean => {
    const target = targets.get(targetId);
    return !target || queueOf(targetId).isLow(target.concurrency, isHealthy(breakers.of(targetId)));
  };

  /** Starts what may start, with the present settings. Several calls in one turn of the event loop share one start. */
  const planStart = (queue: TargetQueue): void => {
    toStart.add(queue);
    toReview.add(queue);
    if (isStartPlanned) return;
    isStartPlanned = true;
    void startPlanned();
  };

  const startPlanned = async (): Promise<void> => {
    try {
      await refreshTargets();
    } catch (error) {
      onError(error); // the next turn tries again
    }
    isStartPlanned = false;
    for (const queue of toStart) startNext(queue);
    toStart.clear();
  };

  const refreshTargets = async (): Promise<void> => {
    if (!(await targets.refresh())) return;
    for (const queue of queues.values()) toReview.add(queue);
  };

  const take = (deliveries: readonly Delivery[], now: number): void => {
    for (const delivery of deliveries) {
      if (queueOf(delivery.target.id).add(delivery, now)) slots.take(delivery);
    }
  };

  const startNext = (queue: TargetQueue): void => {
    const target = targets.get(queue.targetId);
    if (!target || isStopping) {
      returnQueued(queue);
      return;
    }
    while (queue.mayStart(target.concurrency) && freeSlots(queue, target) > 0 && startOne(queue, target));
    // The probe may be waiting for its facts: returned now, it would be claimed and looked up again and again.
    if (breakers.of(target.id).state !== 'closed' && !queue.isLookingUp) returnQueued(queue);
  };

  const freeSlots = (queue: TargetQueue, target: Target): number => breakers.freeSlots(target, queue.busy);

  /** Returns whether the queue got shorter. */
  const startOne = (queue: TargetQueue, target: Target): boolean => {
    const next = queue.next();
    if (next === null) return false;
    const { delivery } = next;
    const now = effects.now();
    if (queue.hasLost(next, now)) return returnNext(queue, next);
    const facts = queue.takeFacts(next);
    const expired = expiredAs(delivery, target, now);
    const wanted = expired || facts ? null : factsFor(delivery, target, now);
    if (wanted) {
      lookUps.start(queue, next, wanted);
      return false;
    }
    const end = expired ?? leftOut(delivery, target, facts ?? NO_CHAT_FACTS, now);
    if (end) {
      queue.leaveOut(next);
      slots.unspent(delivery);
      attempts.end(queue, next, end);
      return true;
    }
    if (mustWait(delivery, target, now)) return returnNext(queue, next);
    if (slots.nextTokenAt(target, now) !== null) return false;
    slots.spend(target.id);
    queue.start(next);
    attempts.send(queue, next, target);
    return true;
  };

  const returnNext = (queue: TargetQueue, next: Leased): true => {
    queue.leaveOut(next);
    slots.unspent(next.delivery);
    attempts.giveBack(queue, next);
    return true; // the queue got shorter
  };

  const returnQueued = (queue: TargetQueue): void => {
    offer(queue, 0);
    for (const leased of queue.drain()) {
      slots.unspent(leased.delivery);
      attempts.giveBack(queue, leased);
    }
  };

  /** Always told anew: what the store has leased of the last offer may not be handed over yet. */
  const offer = (queue: TargetQueue, count: number): void => {
    store.outbox.offer(queue.targetId, {
      count,
      bytes: slots.bytesLeft(queue.targetId, targets.count),
      leaseMs,
    });
  };

  // Each turn asks the store again, so that the loop cannot miss what a release, a clock change or a retry made due.
  const turn = async (): Promise<number | null> => {
    const { targetIds, nextDueAt } = await store.outbox.due();
    await breakers.refresh();
    if (targetIds.size + toReview.size === 0) return nextDueAt;
    await refreshTargets();
    const due = [...targetIds].flatMap((id) => targets.get(id) ?? []);
    const { unclaimed, nextDueAt: claimedDueAt } = await claim(due);
    const now = effects.now();
    for (const queue of toReview) review(queue, unclaimed.has(queue.targetId), now);
    const waits = due.flatMap((target) => [
      slots.nextTokenAt(target, now),
      slots.nextFromBacklogAt(target, now),
      breakers.nextProbeAt(target.id),
    ]);
    const times = [nextDueAt, claimedDueAt, ...waits].filter((time) => time !== null);
    return times.length > 0 ? Math.min(...times) : null;
  };

  /**
   * Claims for targets with something due. `unclaimed`: targets that may have more due than was claimed. `nextDueAt`: when
   * the other targets may have something due again (Unix milliseconds); null: unknown or never.
   */
  const claim = async (due: readonly Target[]): Promise<{ unclaimed: Set<string>; nextDueAt: number | null }> => {
    const unclaimed = new Set(due.map(({ id }) => id));
    const wants = due.map((target) => wantOf(target)).filter(({ limit }) => limit > 0);
    if (wants.length === 0) return { unclaimed, nextDueAt: null };
    const { deliveries, nextDueAt } = await store.outbox.claim(wants, leaseMs);
    take(deliveries, effects.now());
    const claimed = new Map<string, number>();
    for (const { target } of deliveries) claimed.set(target.id, (claimed.get(target.id) ?? 0) + 1);
    for (const { targetId, limit } of wants) {
      toReview.add(queueOf(targetId));
      if ((claimed.get(targetId) ?? 0) < limit) unclaimed.delete(targetId);
    }
    return { unclaimed, nextDueAt };
  };

  const wantOf = (target: Target): ClaimWant => {
    const queue = queueOf(target.id);
    const places = queue.wanted(freeSlots(queue, target), target.concurrency, isHealthy(breakers.of(target.id)));
    return slots.want(target, places, targets.count, effects.now(), queue.queued);
  };

  /** Starts what may start, returns what has waited for too long, and renews or withdraws the offer. */
  const review = (queue: TargetQueue, hasMoreDue: boolean, now: number): void => {
    startNext(queue);
    if (queue.isStale(now)) {
      queue.stall();
      returnQueued(queue);
    }
    const target = targets.get(queue.targetId);
    if (target && !isStopping) renewOffer(queue, target, hasMoreDue);
    if (queue.queued === 0) toReview.delete(queue);
    if (!target && queue.isIdle) queues.delete(queue.targetId);
  };

  /**
   * Offers the free places of a queue to new deliveries, unless older ones are due: those come first. A target that is not
   * healthy or has a rate limit gets no offer.
   */
  const renewOffer = (queue: TargetQueue, target: Target, hasMoreDue: boolean): void => {
    const isHealthyNow = isHealthy(breakers.of(target.id));
    const isOpen = isHealthyNow && !hasMoreDue && target.ratePerSecond === null;
    const places = queue.places(freeSlots(queue, target), target.concurrency, isHealthyNow);
    offer(queue, isOpen ? places : 0);
  };

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    handOver: ({ deliveries, leased }) => {
      if (leased.length > 0) take(leased, effects.now());
      for (const { target } of leased) planStart(queueOf(target.id));
      if (deliveries > leased.length) loop.wake();
    },
    stop: async (graceMs) => {
      isStopping = true;
      for (const queue of queues.values()) offer(queue, 0);
      await loop.stop();
      for (const queue of queues.values()) returnQueued(queue);
      await attempts.stop(graceMs);
      await lookUps.idle();
    },
  };
}

function expiredAs({ newestMessageAt }: Delivery, { maxAgeSeconds }: Target, now: number): UnsentEnd | null {
  const reason = expiryReason(newestMessageAt, maxAgeSeconds, now);
  return reason === null ? null : { status: 'expired', reason };
}

/** Whether a delivery became backlog only now, so that it has to wait for the pace of its target. */
function mustWait(delivery: Delivery, target: Target, now: number): boolean {
  return !delivery.isFromBacklog && !delivery.besideSchedule && isPaced(delivery, target, now);
}
