import type { Effects } from '../effects.js';
import { nextTurn } from '../event-loop.js';
import { waitForAll } from '../loop.js';
import type { Target } from '../model.js';
import type { Breakers } from './breakers.js';
import type { DeliveryNotices } from './notices.js';
import { afterAttempt, goneReason, isGone, policyOf } from './policy.js';
import type { UnsentEnd } from './policy.js';
import type { Sender, SendResult } from './send.js';
import { createSettler } from './settler.js';
import { hasLeaseEnded } from './target-queue.js';
import type { Leased, TargetQueue } from './target-queue.js';
import type { Delivery, Outbox, Settlement } from '../store/outbox.js';
import type { Registry } from '../store/registry.js';

export interface AttemptsOptions {
  readonly store: {
    readonly outbox: Pick<Outbox, 'settle'>;
    readonly registry: Pick<Registry, 'disableTarget'>;
  };
  readonly sender: Pick<Sender, 'send' | 'destroy'>;
  readonly breakers: Pick<Breakers, 'started' | 'ended'>;
  /** Pauses between attempts, for targets without a schedule of their own. */
  readonly delaysMs: readonly number[];
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
  readonly notices: Pick<DeliveryNotices, 'onSettled' | 'onDisabled'>;
  /** An attempt has ended, and its slot is free. */
  readonly onAnswer: (queue: TargetQueue) => void;
  /** A delivery is settled or returned, or its lease has run out. `again`: it was claimed again meanwhile. */
  readonly onEnd: (queue: TargetQueue, delivery: Delivery, again: Delivery | null) => void;
}

/** Sends, ends or returns the deliveries that leave their queue, and settles them. Errors are reported to `onError`. */
export interface Attempts {
  /** Sends a delivery that its queue has started, with the present settings of its target, and settles it. */
  send(queue: TargetQueue, leased: Leased, target: Target): void;
  /** Settles a delivery without an attempt: it is too old, or its target's settings leave it out. */
  end(queue: TargetQueue, leased: Leased, end: UnsentEnd): void;
  /** Returns a delivery to the store: pending and due as before, and no attempt was made. */
  giveBack(queue: TargetQueue, leased: Leased): void;
  /** Gives everything under way `graceMs`, then aborts attempts: their deliveries are returned. */
  stop(graceMs: number): Promise<void>;
}

export function createAttempts(options: AttemptsOptions): Attempts {
  const { store, sender, breakers, delaysMs, effects, onError, notices, onAnswer, onEnd } = options;
  const settler = createSettler({ effects, onError });
  let underWay = 0;
  let onNoneLeft = (): void => undefined;
  let isAborting = false;

  /**
   * Sends the delivery, unless another replica is probing its target or its lease has ended while the store was asked: then it
   * returns it.
   */
  const probe = async (
    queue: TargetQueue,
    leased: Leased,
    delivery: Delivery,
    isOurs: Promise<boolean>,
  ): Promise<void> => {
    const mayStart = await isOurs.catch((error: unknown) => {
      settler.reportRefusal(error);
      return false;
    });
    if (mayStart && !hasLeaseEnded(delivery, effects.now())) {
      await attempt(queue, leased, delivery);
      return;
    }
    const kept = mayStart ? breakers.ended(delivery, null).catch(settler.reportRefusal) : undefined;
    queue.answer(leased, null, false);
    onAnswer(queue);
    const write = async (): Promise<void> => await settleNow(queue, leased, RETURNED);
    await Promise.all([kept, settler.settle(write, () => queue.leaseEndOf(leased))]);
  };

  const attempt = async (queue: TargetQueue, leased: Leased, delivery: Delivery): Promise<void> => {
    const sent = await sender.send(delivery);
    const isAborted = isAborting && sent.outcome.kind === 'failed';
    const isGoneNow = !isAborted && isGone(sent.outcome);
    const kept = breakers.ended(delivery, isAborted ? null : sent.outcome).catch(settler.reportRefusal);
    queue.answer(leased, sent.attempt.durationMs, isGoneNow);
    onAnswer(queue);
    const outcome = isAborted ? RETURNED : outcomeOf(delivery, sent, delaysMs, effects);
    const write = async (): Promise<void> => {
      if (isGoneNow) await disable(delivery.target);
      await settleNow(queue, leased, outcome);
    };
    const deadline = (): number => queue.leaseEndOf(leased);
    await Promise.all([kept, settler.settle(write, deadline, () => queue.refuse(leased))]);
  };

  const disable = async (target: Target): Promise<void> => {
    const reason = goneReason(effects.now());
    if (await store.registry.disableTarget(target, reason)) notices.onDisabled(target, reason);
  };

  /** Settles the delivery and reports that, unless the lease was lost or the delivery is only returned. */
  const settleNow = async (queue: TargetQueue, leased: Leased, outcome: Outcome): Promise<void> => {
    const { delivery } = leased;
    const settlement = { id: delivery.id, lease: queue.leaseOf(leased), ...outcome };
    if (!(await store.outbox.settle(settlement))) {
      await nextTurn(); // the claim that took it may not be back yet
      const lease = queue.leaseOf(leased);
      if (lease === settlement.lease || !(await store.outbox.settle({ ...settlement, lease }))) return;
    }
    if (outcome !== RETURNED) notices.onSettled(delivery, settlement);
  };

  const settle = (queue: TargetQueue, leased: Leased, outcome: Outcome, onRefused?: () => void): void => {
    const write = async (): Promise<void> => await settleNow(queue, leased, outcome);
    track(
      settler.settle(write, () => queue.leaseEndOf(leased), onRefused),
      queue,
      leased,
    );
  };

  const track = (work: Promise<void>, queue: TargetQueue, leased: Leased): void => {
    const end = (): void => {
      const again = queue.end(leased);
      onEnd(queue, leased.delivery, again);
      underWay -= 1;
      if (underWay === 0) onNoneLeft();
    };
    underWay += 1;
    // After an unexpected failure the lease runs out, and the delivery is due again.
    work.then(end, (error: unknown) => {
      onError(error);
      end();
    });
  };

  const noneLeft = async (): Promise<void> =>
    await new Promise((resolve) => {
      if (underWay === 0) resolve();
      else onNoneLeft = resolve;
    });

  return {
    send: (queue, leased, target) => {
      const delivery = target === leased.delivery.target ? leased.delivery : { ...leased.delivery, target };
      const started = breakers.started(delivery);
      const made = started === true ? attempt(queue, leased, delivery) : probe(queue, leased, delivery, started);
      track(made, queue, leased);
    },
    end: (queue, leased, end) => settle(queue, leased, { ...end, attempt: null }, () => queue.refuse(leased)),
    giveBack: (queue, leased) => settle(queue, leased, RETURNED),
    stop: async (graceMs) => {
      await waitForAll([noneLeft()], graceMs, effects);
      isAborting = true;
      await sender.destroy();
      settler.stopRetrying();
      await noneLeft();
    },
  };
}

type Outcome = Omit<Settlement, 'id' | 'lease'>;

const RETURNED: Outcome = { status: 'pending', attempt: null };

function outcomeOf(
  delivery: Delivery,
  { outcome, attempt }: SendResult,
  delaysMs: readonly number[],
  effects: Pick<Effects, 'now' | 'random'>,
): Outcome {
  const { target, besideSchedule, event, verdicts, streak } = delivery;
  const attempts = delivery.attempts + (besideSchedule ? 0 : 1);
  const tried = { attempts, besideSchedule, event, verdicts, streak, startedAt: attempt.startedAt };
  const policy = policyOf(target, delaysMs);
  const { reason, ...next } = afterAttempt(outcome, tried, policy, effects.now(), effects.random());
  const lastError = reason === undefined ? {} : { reason: [attempt.error, reason].join(' ') };
  return { ...next, attempt, ...lastError };
}
