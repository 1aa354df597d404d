import type { Pause, PauseCode } from '../../model.js';
import type { CallHistory, News } from '../calls.js';
import { utcDay } from './days.js';

/** A row of `channel_calls`. */
export interface CallHistoryRow {
  readonly day: number;
  readonly calls: number;
  readonly last_call_at: number;
  readonly healthy_at: number | null;
  readonly failures: number;
  readonly paused_since: number | null;
  readonly pause_code: PauseCode | null;
  readonly pause_reason: string | null;
  readonly next_check_at: number | null;
}

const NO_CALLS: Omit<CallHistory, 'news'> = {
  callsToday: 0,
  lastCallAt: null,
  healthyAt: null,
  failures: 0,
  pause: null,
};

/** @param row undefined: the channel has made no calls */
export function callHistoryOf(row: CallHistoryRow | undefined, news: readonly News[], now: number): CallHistory {
  if (!row) return { ...NO_CALLS, news };
  return {
    callsToday: row.day === utcDay(now) ? row.calls : 0,
    lastCallAt: row.last_call_at,
    healthyAt: row.healthy_at,
    failures: row.failures,
    pause: pauseOf(row),
    news,
  };
}

function pauseOf({ pause_code, pause_reason, paused_since, next_check_at }: CallHistoryRow): Pause | null {
  if (pause_code === null) return null;
  return { code: pause_code, reason: pause_reason ?? '', since: paused_since ?? 0, nextCheckAt: next_check_at ?? 0 };
}
