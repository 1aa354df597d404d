import type { Effects } from './effects.js';
import { startLoop } from './loop.js';
import type { Loop } from './loop.js';
import type { Jobs } from './store/jobs.js';

export interface JobWorkerOptions {
  readonly store: { readonly jobs: Pick<Jobs, 'step'> };
  /** Called after deliveries became due. */
  readonly onDeliveries: () => void;
  readonly onError: (error: unknown) => void;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

/** Between two steps of a job, so that webhooks come first. */
const STEP_PAUSE_MS = 20;
const IDLE_MS = 5000;

/** Does bulk work in the background, in small steps. A restart resumes where the last process stopped. */
export function startJobWorker({ store, onDeliveries, onError, effects }: JobWorkerOptions): Loop {
  const turn = async (): Promise<number | null> => {
    const made = await store.jobs.step();
    if (made === null) return null;
    if (made > 0) onDeliveries();
    return effects.now() + STEP_PAUSE_MS;
  };
  return startLoop({ turn, onError, idleMs: IDLE_MS, effects });
}
