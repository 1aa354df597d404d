import type { Target } from '../model.js';
import type { Registry } from '../store/registry.js';
import type { Replicas } from '../store/replicas.js';

/** The enabled targets, as they were at the last refresh, each with this process's share of its limits. */
export interface EnabledTargets {
  /** Reads them anew. Returns whether any target or share changed. */
  refresh(): Promise<boolean>;
  get(id: string): Target | null;
  readonly count: number;
}

/** The registry gives the same list until something changes, so a refresh costs the same for any number of targets. */
export function createTargets(registry: Pick<Registry, 'targets'>, replicas: Pick<Replicas, 'alive'>): EnabledTargets {
  let sharers = 1;
  let listed: readonly Target[] = [];
  let byId: ReadonlyMap<string, Target> = new Map();
  return {
    refresh: async () => {
      const current = await registry.targets();
      const alive = replicas.alive();
      if (current === listed && alive === sharers) return false;
      listed = current;
      sharers = alive;
      byId = new Map(current.flatMap((target) => (target.enabled ? [[target.id, shareOf(target, alive)]] : [])));
      return true;
    },
    get: (id) => byId.get(id) ?? null,
    get count() {
      return byId.size;
    },
  };
}

/**
 * A target with the limits of one of `sharers` replicas. Each may have a delivery in flight, so more replicas than
 * `concurrency` exceed it.
 */
export function shareOf(target: Target, sharers: number): Target {
  if (sharers === 1) return target;
  const { concurrency, ratePerSecond, backlogRatePerMinute } = target;
  return {
    ...target,
    concurrency: Math.ceil(concurrency / sharers),
    ratePerSecond: ratePerSecond === null ? null : ratePerSecond / sharers,
    backlogRatePerMinute: backlogRatePerMinute === null ? null : backlogRatePerMinute / sharers,
  };
}
