import { TokenBucket } from '../bucket.js';
import type { Effects } from '../effects.js';
import type { ClaimWant, Delivery, Outbox, Registry } from '../ledger/ledger.js';
import { startLoop } from '../loop.js';
import type { Target } from '../model.js';
import { afterAttempt, expiry, goneReason, isGone, policyOf } from './policy.js';
import type { Sender } from './send.js';

export interface DeliveryOptions {
  readonly ledger: Pick<Outbox, 'claim' | 'settle'> & Pick<Registry, 'targets' | 'switchOff'>;
  readonly sender: Pick<Sender, 'send' | 'destroy'>;
  /** Pauses between the attempts of a delivery, where its target names none. */
  readonly delaysMs: readonly number[];
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

export interface DeliveryLoop {
  /** A hint that deliveries may have become due. */
  wake(): void;
  /** Claims nothing more, gives what is under way `graceMs`, then breaks it off: it goes back to the store as due. */
  stop(graceMs: number): Promise<void>;
}

/** Longer than the longest attempt (60 s) and what it takes to settle it. */
const LEASE_MS = 120_000;
/** Deliveries are looked for this often even when nothing was said to be due. */
const IDLE_MS = 1000;

/**
 * Claims what is due, sends it, settles it. A delivery is, in turn: due → claimed (leased, I5) → sent → settled as
 * delivered, dead or expired, or due again. At every moment at most `target.concurrency` of a target are claimed.
 */
export function startDeliveryLoop({ ledger, sender, delaysMs, effects, onError }: DeliveryOptions): DeliveryLoop {
  const underWay = new Map<string, number>();
  const buckets = new Map<string, { rate: number; bucket: TokenBucket }>();
  const attempts = new Set<Promise<void>>();
  let brokenOff = false;

  const turn = async (): Promise<number | null> => {
    const targets = (await ledger.targets()).filter(({ enabled }) => enabled);
    const wanted = targets.map(wantOf).filter(({ limit }) => limit > 0);
    const { deliveries, nextDueAt } = await ledger.claim(wanted, LEASE_MS);
    for (const delivery of deliveries) launch(delivery);
    const nextToken = targets.flatMap(({ id }) => buckets.get(id)?.bucket.waitMs(effects.now()) ?? []);
    const times = [nextDueAt ?? [], ...nextToken.filter((ms) => ms > 0).map((ms) => effects.now() + ms)].flat();
    return times.length > 0 ? Math.min(...times) : null;
  };

  const wantOf = (target: Target): ClaimWant => {
    const slots = target.concurrency - (underWay.get(target.id) ?? 0);
    const tokens = bucketOf(target)?.available(effects.now()) ?? slots;
    return { targetId: target.id, limit: Math.min(slots, tokens) };
  };

  const bucketOf = ({ id, ratePerSecond }: Target): TokenBucket | null => {
    if (ratePerSecond === null) {
      buckets.delete(id);
      return null;
    }
    const held = buckets.get(id);
    if (held?.rate === ratePerSecond) return held.bucket;
    const bucket = new TokenBucket(ratePerSecond, Math.max(1, ratePerSecond), effects.now());
    buckets.set(id, { rate: ratePerSecond, bucket });
    return bucket;
  };

  const launch = (delivery: Delivery): void => {
    const { id } = delivery.target;
    underWay.set(id, (underWay.get(id) ?? 0) + 1);
    const attempt = make(delivery)
      .catch(onError) // the lease runs out, and it is due again
      .finally(() => {
        underWay.set(id, (underWay.get(id) ?? 1) - 1);
        attempts.delete(attempt);
        loop.wake();
      });
    attempts.add(attempt);
  };

  const make = async (delivery: Delivery): Promise<void> => {
    const { id, lease, target } = delivery;
    const tooOld = expiry(delivery.newestMessageAt, target.maxAgeSeconds, effects.now());
    if (tooOld !== null) {
      await ledger.settle({ id, lease, status: 'expired', attempt: null, reason: tooOld });
      return;
    }
    buckets.get(target.id)?.bucket.take(1);
    const { outcome, attempt } = await sender.send(delivery);
    if (brokenOff && outcome.kind === 'failed') {
      await ledger.settle({ id, lease, status: 'pending', dueAt: effects.now(), attempt: null });
      return;
    }
    if (isGone(outcome)) await ledger.switchOff(target, goneReason(effects.now()));
    const attempts = delivery.attempts + (delivery.besideSchedule ? 0 : 1);
    const policy = policyOf(target, delaysMs);
    const { reason, ...next } = afterAttempt(outcome, attempts, policy, effects.now(), effects.random());
    const lastError = reason === undefined ? {} : { reason: [attempt.error, reason].join(' ') };
    await ledger.settle({ id, lease, ...next, attempt, ...lastError });
  };

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    stop: async (graceMs) => {
      await loop.stop();
      const settled = new AbortController();
      const all = Promise.all(attempts).then(() => settled.abort());
      await effects.sleep(graceMs, settled.signal);
      brokenOff = attempts.size > 0;
      await sender.destroy();
      await all;
    },
  };
}
