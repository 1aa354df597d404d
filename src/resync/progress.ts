import type { Pause, PauseCode } from '../model.js';
import { budgetPause, nextDay } from '../whapi/policy.js';
import type { CallIntervals } from '../whapi/policy.js';
import { callerLabel } from '../whapi/callers.js';
import type { CallUnderWay } from '../whapi/callers.js';
import { DAY_MS, MINUTE_MS } from '../durations.js';
import type { ResyncView } from '../store/resyncs.js';

/** How far a resync has come, for people. */
export interface Progress {
  /** Why no calls are made at the moment; null if the resync is running or over. */
  readonly pause: Pause | null;
  /** Messages settled per minute over the last minutes; null once the resync is over. */
  readonly ratePerMinute: number | null;
  /** Time until every id has been requested and the last one has had time to come back; null if that is not known. */
  readonly etaSeconds: number | null;
}

/** Pauses that end at a known time, so that an end can be estimated. */
const TIMED_PAUSES: ReadonlySet<PauseCode> = new Set(['budget', 'other_call']);
const FINISHED: Progress = { pause: null, ratePerMinute: null, etaSeconds: null };

/** @param underWay the channel's call under way */
export function progressOf(
  view: ResyncView,
  intervals: Pick<CallIntervals, 'spacingMs'>,
  now: number,
  underWay: CallUnderWay | null = null,
): Progress {
  const { progress } = view;
  if (!progress) return FINISHED;
  const pause =
    progress.pause ?? budgetPause(progress, now) ?? (view.counts.queued > 0 ? otherCallPause(underWay) : null);
  const ms = pause && !TIMED_PAUSES.has(pause.code) ? null : etaMs(view, progress, intervals, now);
  return {
    pause,
    ratePerMinute:
      progress.latelyMs > 0 ? Math.round((10 * MINUTE_MS * progress.settledLately) / progress.latelyMs) / 10 : null,
    etaSeconds: ms === null ? null : Math.ceil(ms / 1000),
  };
}

/** Whapi gets one call at a time per channel, so a run waits while another caller's call is under way. */
function otherCallPause(underWay: CallUnderWay | null): Pause | null {
  if (underWay === null || underWay.by === 'run') return null;
  const reason = `Waiting for ${callerLabel(underWay.by)}: Whapi gets one call at a time per channel.`;
  return { code: 'other_call', reason, since: underWay.since, nextCheckAt: underWay.until };
}

/**
 * Calls of a channel are made one after the other. So the rest takes the average time of a call plus the spacing for
 * each id, including those of earlier resyncs, and then the last one has to come back. Ids that have not come back in
 * the average time may come at any time or never: the estimate leaves them out.
 */
function etaMs(
  { counts }: ResyncView,
  progress: NonNullable<ResyncView['progress']>,
  { spacingMs }: Pick<CallIntervals, 'spacingMs'>,
  now: number,
): number | null {
  const { channel, callMs, restoreMs, lastAskedAt, ahead } = progress;
  const toAsk = ahead + counts.queued + counts.requesting;
  if (toAsk === 0) {
    const lastIsDueAt = lastAskedAt === null || restoreMs === null ? now : lastAskedAt + restoreMs;
    return lastIsDueAt > now ? lastIsDueAt - now : null;
  }
  if (callMs === null) return null;
  const callsMs = (calls: number): number => calls * (callMs + (channel.resyncSpacingMs ?? spacingMs));
  const budget = channel.dailyCallBudget;
  const leftToday = budget === null ? toAsk : Math.max(budget - progress.callsToday, 0);
  if (budget === null || toAsk <= leftToday) return callsMs(toAsk) + (restoreMs ?? 0);
  const later = toAsk - leftToday;
  const lastDay = Math.ceil(later / budget) - 1; // whole days after the next midnight
  return nextDay(now) - now + lastDay * DAY_MS + callsMs(later - lastDay * budget) + (restoreMs ?? 0);
}
