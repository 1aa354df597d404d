import type { Breaker } from '../../model.js';
import type { KeptBreaker, StoredBreaker } from '../breakers.js';

/** A row of `breakers`. A healthy one stays, because its version must grow. */
export interface BreakerRow {
  readonly target: number;
  readonly state: Breaker['state'] | 'healthy';
  readonly consecutive_failures: number;
  readonly times_opened: number;
  readonly opened_at: number | null;
  readonly next_probe_at: number | null;
  readonly version: number;
  readonly probe_until: number | null;
}

/** With the id of its target. */
export type NamedBreakerRow = Omit<BreakerRow, 'target'> & { readonly target_id: string };

const HEALTHY = {
  state: 'healthy',
  consecutiveFailures: 0,
  timesOpened: 0,
  openedAt: null,
  nextProbeAt: null,
} as const;

/** A target without a stored breaker. */
export function neverStored(targetId: string): StoredBreaker {
  return { targetId, version: 0, breaker: null, probeUntil: null };
}

/** A row as a breaker. */
export function storedBreakerOf(row: NamedBreakerRow): StoredBreaker {
  const { target_id: targetId, state, version, probe_until: probeUntil } = row;
  if (state === 'healthy') return { targetId, version, breaker: null, probeUntil };
  const { consecutive_failures: consecutiveFailures, times_opened: timesOpened } = row;
  const times = { openedAt: row.opened_at, nextProbeAt: row.next_probe_at };
  return { targetId, version, breaker: { state, consecutiveFailures, timesOpened, ...times }, probeUntil };
}

/** A breaker as a row. @param after null: it is healthy */
export function breakerRowOf(
  target: number,
  after: KeptBreaker | null,
  version: number,
  probeUntil: number | null,
): BreakerRow {
  const { state, consecutiveFailures, timesOpened, openedAt, nextProbeAt } = after ?? HEALTHY;
  return {
    ...{ target, state, consecutive_failures: consecutiveFailures, times_opened: timesOpened },
    ...{ opened_at: openedAt, next_probe_at: nextProbeAt, version, probe_until: probeUntil },
  };
}
