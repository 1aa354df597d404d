import { DAMAGE_FIX, errorText } from './errors.js';
import type { Upkeep } from './store/upkeep.js';

export interface DamageCheckOptions {
  readonly store: { readonly upkeep: Pick<Upkeep, 'findDamage'> };
  readonly log: Readonly<Record<'error' | 'warn', (fields: object, msg: string) => void>>;
}

export interface DamageCheck {
  /** Begins it. To be called when the gateway is ready: it competes for the disk. */
  start(): void;
  /** The damage found so far; null if there is none. */
  found(): string | null;
  stop(): Promise<void>;
}

/**
 * Looks for damage in the store once after each start, beside the work: reading all of it first would delay the start by
 * seconds for each hundred megabytes. The gateway keeps running on a damaged store: one bad page of old payloads is no
 * reason to refuse all webhooks, and an operation that meets the page is refused with 503. So `/readyz` does not fail.
 */
export function createDamageCheck({ store, log }: DamageCheckOptions): DamageCheck {
  const stopped = new AbortController();
  let damage: string | null = null;
  const look = async (): Promise<void> => {
    try {
      damage = await store.upkeep.findDamage(stopped.signal);
      if (damage !== null) log.error({ damage, fix: DAMAGE_FIX }, 'database damaged');
    } catch (error) {
      if (!stopped.signal.aborted) log.warn({ detail: errorText(error) }, 'database not checked for damage');
    }
  };
  let looking = Promise.resolve();
  return {
    start: () => void (looking = look()),
    found: () => damage,
    stop: async () => {
      stopped.abort();
      await looking;
    },
  };
}
