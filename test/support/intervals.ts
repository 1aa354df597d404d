import { vi } from 'vitest';
import type { AuditIntervals } from '../../src/audit/policy.js';
import { BREAKER_INTERVALS } from '../../src/delivery/breaker.js';
import type { BreakerIntervals } from '../../src/delivery/breaker.js';
import { RESYNC_INTERVALS } from '../../src/resync/policy.js';
import type { ResyncIntervals } from '../../src/resync/policy.js';

/** Retries within milliseconds instead of seconds and hours. */
export const QUICK_RETRIES_MS: readonly number[] = [5, 10];

/** Probes as fast as retries. The number of failures that open it is unchanged. */
export const QUICK_BREAKER: BreakerIntervals = { ...BREAKER_INTERVALS, pausesMs: QUICK_RETRIES_MS };

/** For resyncs with a Whapi simulated a thousand times faster. The lengths of windows are unchanged. */
export const QUICK_RESYNC: ResyncIntervals = {
  callTimeoutMs: 5000,
  proofMs: 5,
  pollsMs: [20, 40],
  askAgainAfterPolls: [],
  spacingMs: 0,
  healthEveryMs: RESYNC_INTERVALS.healthEveryMs,
  checksMs: [20, 40],
  backoffMs: [20, 40],
  refusedWindowMs: RESYNC_INTERVALS.refusedWindowMs,
  callMarginMs: RESYNC_INTERVALS.callMarginMs,
  turnMarginMs: RESYNC_INTERVALS.turnMarginMs,
};

export const QUICK_AUDIT: AuditIntervals = { callTimeoutMs: 5000, backoffMs: [5, 10] };

/** Resolves with the result of `look` once it no longer throws. */
export async function until<T>(check: () => T | Promise<T>): Promise<T> {
  return await vi.waitFor(check, { timeout: 15_000, interval: 5 });
}
