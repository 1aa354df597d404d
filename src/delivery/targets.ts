import type { Target } from '../model.js';
import type { Registry } from '../store/registry.js';

/** The enabled targets, as they were at the last refresh. */
export interface EnabledTargets {
  /** Reads them anew. Returns whether any was added, changed or removed. */
  refresh(): Promise<boolean>;
  get(id: string): Target | null;
  readonly count: number;
}

/** The registry gives the same list until something changes, so a refresh costs the same for any number of targets. */
export function createTargets(registry: Pick<Registry, 'targets'>): EnabledTargets {
  let listed: readonly Target[] = [];
  let byId: ReadonlyMap<string, Target> = new Map();
  return {
    refresh: async () => {
      const current = await registry.targets();
      if (current === listed) return false;
      listed = current;
      byId = new Map(current.flatMap((target) => (target.enabled ? [[target.id, target]] : [])));
      return true;
    },
    get: (id) => byId.get(id) ?? null,
    get count() {
      return byId.size;
    },
  };
}
