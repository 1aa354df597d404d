import type { Effects } from '../effects.js';
import { waitForAll, startLoop } from '../loop.js';
import type { Target } from '../model.js';
import type { Breakers } from './breakers.js';
import type { DeliveryNotices } from './notices.js';
import { afterAttempt, expiryReason, goneReason, isGone, policyOf } from './policy.js';
import type { Sender, SendResult } from './send.js';
import { createSettler } from './settler.js';
import { Slots } from './slots.js';
import type { ClaimWant, Delivery, Outbox, Settlement } from '../store/outbox.js';
import type { Registry } from '../store/registry.js';

export interface DeliveryOptions {
  readonly store: {
    readonly outbox: Pick<Outbox, 'due' | 'claim' | 'settle'>;
    readonly registry: Pick<Registry, 'targets' | 'disableTarget'>;
  };
  readonly sender: Pick<Sender, 'send' | 'destroy'>;
  readonly breakers: Pick<Breakers, 'freeSlots' | 'nextProbeAt' | 'started' | 'ended'>;
  /** Pauses between attempts, for targets without a schedule of their own. */
  readonly delaysMs: readonly number[];
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
  readonly notices: Pick<DeliveryNotices, 'onSettled' | 'onDisabled'>;
}

export interface DeliveryLoop {
  /** A hint that deliveries may have become due. */
  wake(): void;
  /** Claims no more, gives attempts under way `graceMs`, then aborts them: their deliveries become due again. */
  stop(graceMs: number): Promise<void>;
}

/**
 * The longest attempt (120 s) plus three minutes in which the store may refuse its settlement, for example on a full
 * disk.
 */
const LEASE_MS = 300_000;
/** The longest pause between two polls for due deliveries. */
const IDLE_MS = 1000;

/**
 * Claims what is due, sends it and settles it. A delivery goes: due → claimed (leased, I5) → sent → settled as
 * delivered, dead or expired, or due again. Each target gets as many claims as its free slots and its breaker allow.
 */
export function startDeliveryLoop({
  store,
  sender,
  breakers,
  delaysMs,
  effects,
  onError,
  notices,
}: DeliveryOptions): DeliveryLoop {
  const slots = new Slots();
  const settler = createSettler({ effects, onError });
  const attempts = new Set<Promise<void>>();
  let isAborting = false;

  // The store is asked anew in each turn, so that nothing here can miss what a release, a clock or another writer changed.
  const turn = async (): Promise<number | null> => {
    const { targetIds, nextDueAt } = await store.outbox.due();
    if (targetIds.size === 0) return nextDueAt;
    const enabled = (await store.registry.targets()).filter((target) => target.enabled);
    const due = enabled.filter(({ id }) => targetIds.has(id));
    const claimedDueAt = await claim(due, enabled.length);
    const waits = due.flatMap(({ id }) => [slots.nextTokenAt(id, effects.now()), breakers.nextProbeAt(id)]);
    const times = [nextDueAt, claimedDueAt, ...waits].filter((time) => time !== null);
    return times.length > 0 ? Math.min(...times) : null;
  };

  /** Returns when more of these targets' deliveries may be claimed. */
  const claim = async (due: readonly Target[], targets: number): Promise<number | null> => {
    const wants = due.map((target) => wantOf(target, targets)).filter(({ limit }) => limit > 0);
    if (wants.length === 0) return null;
    const leaseEndsAt = effects.now() + LEASE_MS;
    const { deliveries, nextDueAt } = await store.outbox.claim(wants, LEASE_MS);
    for (const delivery of deliveries) launch(delivery, leaseEndsAt);
    return nextDueAt;
  };

  const wantOf = (target: Target, targets: number): ClaimWant =>
    slots.want(target, breakers.freeSlots(target, slots.underWay(target.id)), targets, effects.now());

  // The slot stays taken until the delivery is settled, even while the store refuses: what is sent must be recordable.
  const launch = (delivery: Delivery, leaseEndsAt: number): void => {
    slots.take(delivery);
    breakers.started(delivery);
    const attempt = attemptDelivery(delivery, leaseEndsAt)
      .catch(onError) // the lease runs out and the delivery is due again
      .finally(() => {
        slots.release(delivery);
        attempts.delete(attempt);
        loop.wake();
      });
    attempts.add(attempt);
  };

  const attemptDelivery = async (delivery: Delivery, leaseEndsAt: number): Promise<void> => {
    const { id, lease, target } = delivery;
    const expiredReason = expiryReason(delivery.newestMessageAt, target.maxAgeSeconds, effects.now());
    if (expiredReason !== null) {
      await breakers.ended(delivery, null);
      const expired = { id, lease, status: 'expired', attempt: null, reason: expiredReason } as const;
      const settle = async (): Promise<void> => {
        if (await store.outbox.settle(expired)) notices.onSettled(delivery, expired);
      };
      await settler.settle(settle, leaseEndsAt);
      return;
    }
    slots.spend(target.id);
    const sent = await sender.send(delivery);
    const isAborted = isAborting && sent.outcome.kind === 'failed';
    const settlement = isAborted ? returned(delivery) : settlementOf(delivery, sent);
    const settle = async (): Promise<void> => {
      if (!isAborted && isGone(sent.outcome)) {
        const gone = goneReason(effects.now());
        if (await store.registry.disableTarget(target, gone)) notices.onDisabled(target, gone);
      }
      if (await store.outbox.settle(settlement)) notices.onSettled(delivery, settlement);
    };
    await Promise.all([
      breakers.ended(delivery, isAborted ? null : sent.outcome).catch(settler.reportRefusal),
      settler.settle(settle, leaseEndsAt),
    ]);
  };

  const returned = ({ id, lease }: Delivery): Settlement => {
    return { id, lease, status: 'pending', dueAt: effects.now(), attempt: null };
  };

  const settlementOf = (delivery: Delivery, { outcome, attempt }: SendResult): Settlement => {
    const { id, lease, target } = delivery;
    const { besideSchedule, event, verdicts, streak } = delivery;
    const attempts = delivery.attempts + (besideSchedule ? 0 : 1);
    const tried = { attempts, besideSchedule, event, verdicts, streak, startedAt: attempt.startedAt };
    const policy = policyOf(target, delaysMs);
    const { reason, ...next } = afterAttempt(outcome, tried, policy, effects.now(), effects.random());
    const lastError = reason === undefined ? {} : { reason: [attempt.error, reason].join(' ') };
    return { id, lease, ...next, attempt, ...lastError };
  };

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    stop: async (graceMs) => {
      await loop.stop();
      await waitForAll(attempts, graceMs, effects);
      isAborting = attempts.size > 0;
      await sender.destroy();
      settler.stopRetrying();
      await Promise.all(attempts);
    },
  };
}
