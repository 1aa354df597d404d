import { TokenBucket } from '../token-bucket.js';
import type { Target } from '../model.js';
import type { ClaimWant, Delivery } from '../store/outbox.js';

/** Leased bodies that all targets together may hold in memory. A target may exceed its share by one body. */
const BYTES_UNDER_WAY = 64 * 1024 * 1024;
/** The share of a target's slots that retries may take, at least one: hanging retries must not block new deliveries. */
const RETRY_SHARE = 1 / 4;
/** While both kinds wait, every fourth slot goes to a retry. */
export const SLOTS_PER_RETRY = 4;

const SECONDS_PER_MINUTE = 60;

interface Usage {
  retries: number;
  bytes: number;
  /** Slots assigned so far. */
  slotsGiven: number;
  bucket: Bucket | null;
  /** The pace of its backlog. */
  pace: Bucket | null;
}

interface Bucket {
  readonly rate: number;
  readonly tokens: TokenBucket;
}

/**
 * What each target has leased, and how much more it may claim within its concurrency, its rate and its share of the
 * memory. No target's share depends on how another one performs.
 */
export class Slots {
  readonly #usage = new Map<string, Usage>();

  /**
   * What to claim for a target with this many free `places`, one of `targets` enabled targets. Deliveries that are `queued`
   * will use tokens of its rate as well.
   */
  want(target: Target, places: number, targets: number, now: number, queued = 0): ClaimWant {
    const usage = this.#of(target.id);
    const bucket = this.#bucketOf(target, now);
    const tokens = bucket ? bucket.available(now) - queued : places;
    const bytes = this.bytesLeft(target.id, targets);
    const limit = bytes > 0 ? Math.max(0, Math.min(places, tokens)) : 0;
    const retryShare = Math.max(1, Math.floor(target.concurrency * RETRY_SHARE));
    const retrySlots = Math.max(0, Math.min(limit, retryShare - usage.retries));
    const turns =
      Math.floor((usage.slotsGiven + limit) / SLOTS_PER_RETRY) - Math.floor(usage.slotsGiven / SLOTS_PER_RETRY);
    const retries = { kept: Math.min(retrySlots, turns), most: retrySlots };
    const pace = this.#paceOf(target, now);
    return { targetId: target.id, limit, retries, bytes, ...(pace && { backlog: Math.max(0, pace.available(now)) }) };
  }

  /** What is left of a target's share of the memory; negative once it exceeds it. */
  bytesLeft(targetId: string, targets: number): number {
    return Math.floor(BYTES_UNDER_WAY / targets) - this.#of(targetId).bytes;
  }

  take({ target, attempts, body, isFromBacklog }: Delivery): void {
    const usage = this.#of(target.id);
    if (isFromBacklog) usage.pace?.tokens.take(1);
    usage.slotsGiven += 1;
    usage.retries += attempts > 0 ? 1 : 0;
    usage.bytes += body.length;
  }

  release({ target, attempts, body }: Delivery): void {
    const usage = this.#of(target.id);
    usage.retries -= attempts > 0 ? 1 : 0;
    usage.bytes -= body.length;
  }

  /** A delivery that was taken ends without an attempt: the pace of its target's backlog lets out another one. */
  unspent({ target, isFromBacklog }: Delivery): void {
    if (isFromBacklog) this.#of(target.id).pace?.tokens.take(-1);
  }

  /** When the pace of the target's backlog lets out the next one; null: now, or it has none. */
  nextFromBacklogAt(target: Target, now: number): number | null {
    const wait = this.#paceOf(target, now)?.waitMs(now) ?? 0;
    return wait > 0 ? now + wait : null;
  }

  /** Counts an attempt against the target's rate. */
  spend(targetId: string): void {
    this.#of(targetId).bucket?.tokens.take(1);
  }

  /** When the target's rate allows the next attempt; null: now. */
  nextTokenAt(target: Target, now: number): number | null {
    const wait = this.#bucketOf(target, now)?.waitMs(now) ?? 0;
    return wait > 0 ? now + wait : null;
  }

  #bucketOf({ id, ratePerSecond: rate }: Target, now: number): TokenBucket | null {
    const usage = this.#of(id);
    usage.bucket = bucketFor(rate, usage.bucket, now);
    return usage.bucket?.tokens ?? null;
  }

  #paceOf({ id, backlogRatePerMinute: rate }: Target, now: number): TokenBucket | null {
    const usage = this.#of(id);
    usage.pace = bucketFor(rate === null ? null : rate / SECONDS_PER_MINUTE, usage.pace, now);
    return usage.pace?.tokens ?? null;
  }

  #of(targetId: string): Usage {
    const existing = this.#usage.get(targetId);
    if (existing) return existing;
    const created: Usage = { retries: 0, bytes: 0, slotsGiven: 0, bucket: null, pace: null };
    this.#usage.set(targetId, created);
    return created;
  }
}

/** A bucket that holds what a second brings, at least one. It is kept while the rate stays the same. */
function bucketFor(rate: number | null, before: Bucket | null, now: number): Bucket | null {
  if (rate === null || rate === before?.rate) return rate === null ? null : before;
  return { rate, tokens: new TokenBucket(rate, Math.max(1, rate), now) };
}
