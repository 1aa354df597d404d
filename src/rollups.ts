import { atMostEvery } from './at-most-every.js';
import { HOUR_MS, SECOND_MS } from './durations.js';
import type { Effects } from './effects.js';
import { startLoop } from './loop.js';
import type { Metrics } from './metrics.js';
import type { Rollups } from './store/rollups.js';

export interface RollupsOptions {
  readonly store: { readonly rollups: Pick<Rollups, 'add' | 'prune'> };
  readonly metrics: Pick<Metrics, 'unsaved' | 'saved'>;
  readonly onError: (error: unknown) => void;
  readonly effects: Pick<Effects, 'now' | 'monotonic' | 'sleep'>;
}

export interface RollupsLoop {
  /** Saves what was counted so far; at most once a second, however often it is asked for. */
  save(): Promise<void>;
  /** Saves once more, then ends. */
  stop(): Promise<void>;
}

/** A crash loses what was counted since. */
const SAVE_EVERY_MS = 10 * SECOND_MS;
const PRUNE_EVERY_MS = HOUR_MS;
const SHARED_FOR_MS = SECOND_MS;

/** Saves counts every ten seconds: a webhook costs no write for them, and a quiet gateway writes nothing. */
export function startRollups({ store, metrics, onError, effects }: RollupsOptions): RollupsLoop {
  let saving = Promise.resolve();
  let prunedAt: number | null = null;
  const save = async (): Promise<void> => {
    // One after the other: two at the same time would add the same counts twice.
    const next = saving.then(
      async () => await store.rollups.add(metrics.unsaved(), effects.now(), (row) => metrics.saved(row)),
    );
    saving = next.catch(() => undefined);
    await next;
  };
  const turn = async (): Promise<number> => {
    await save();
    const now = effects.monotonic();
    if (prunedAt === null || now - prunedAt >= PRUNE_EVERY_MS) {
      await store.rollups.prune(effects.now());
      prunedAt = now;
    }
    return effects.now() + SAVE_EVERY_MS;
  };
  const loop = startLoop({ turn, onError, idleMs: SAVE_EVERY_MS, effects });
  return {
    save: atMostEvery(SHARED_FOR_MS, effects, save),
    stop: async () => {
      await loop.stop();
      await save().catch(onError);
    },
  };
}
