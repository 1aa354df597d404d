import type { Components } from './components.js';
import type { Effects } from './effects.js';
import { publishTo } from './feed-events.js';
import { Feed } from './feed.js';
import { Metrics } from './metrics.js';
import type { Log } from './log.js';
import { tellBoth } from './observer.js';
import type { Observer } from './observer.js';
import { withReplayAlert } from './replay-alert.js';
import { startRollups } from './rollups.js';
import type { RollupsOptions } from './rollups.js';

/** Who watches what happens, and who shows it. */
export interface Facts {
  readonly feed: Feed;
  readonly metrics: Metrics;
  readonly observer: Observer;
  /** Saves what was counted since the last time. */
  readonly saveCounts: () => Promise<void>;
}

export interface FactsOptions extends Pick<RollupsOptions, 'store' | 'onError'> {
  readonly effects: Effects;
  readonly log: Log;
}

const BOOT_BYTES = 6;

/** What is added to `components` after this stops before it: until then there is something to count. */
export function startFacts(components: Components, { store, effects, log, onError }: FactsOptions): Facts {
  const metrics = new Metrics();
  const rollups = components.add('rollups', startRollups({ store, metrics, effects, onError }));
  components.nextStage();
  const feed = new Feed({ boot: effects.randomBytes(BOOT_BYTES).toString('hex'), effects });
  const told = tellBoth(metrics, publishTo(feed, effects));
  const observer = { ...told, onRecorded: withReplayAlert(log, told.onRecorded) };
  return { feed, metrics, observer, saveCounts: rollups.save };
}
