import type { Pause, PauseCode } from '../../model.js';
import type { Db } from './database.js';
import { DAY_MS } from '../../durations.js';
import type { CallHistory, NewPause } from '../calls.js';

interface HistoryRow {
  day: number;
  calls: number;
  last_call_at: number;
  healthy_at: number | null;
  failures: number;
  paused_since: number | null;
  pause_code: PauseCode | null;
  pause_reason: string | null;
  next_check_at: number | null;
}

const NO_CALLS: CallHistory = { callsToday: 0, lastCallAt: null, healthyAt: null, failures: 0, pause: null };

/** What is known of the calls to Whapi of each channel. For use inside a transaction, `of` aside. */
export class SqliteChannelCalls {
  readonly #of;
  readonly #count;
  readonly #answered;
  readonly #healthy;
  readonly #troubled;
  readonly #checkNow;
  readonly #forget;

  constructor(db: Db) {
    this.#of = db.prepare<[string], HistoryRow>('SELECT * FROM channel_calls WHERE channel = ?');
    this.#count = db.prepare(
      `INSERT INTO channel_calls (channel, day, calls, last_call_at, failures)
       SELECT name, @day, 1, @now, 0 FROM channels WHERE name = @channel
       ON CONFLICT (channel) DO UPDATE SET calls = CASE WHEN day = @day THEN calls + 1 ELSE 1 END, day = @day,
         last_call_at = @now`,
    );
    // Whoever calls before Whapi's Retry-After is over, as a client may, does not end it by an answer.
    this.#answered = db.prepare(
      `UPDATE channel_calls SET failures = 0, paused_since = NULL, pause_code = NULL, pause_reason = NULL,
         next_check_at = NULL
       WHERE channel = @channel AND failures > 0 AND (pause_code IS NOT 'busy' OR next_check_at <= @now)`,
    );
    // The failures stay until a call is answered: a Whapi that is well and refuses each call is left longer in peace.
    this.#healthy = db.prepare(
      `UPDATE channel_calls SET healthy_at = ?, pause_code = NULL, pause_reason = NULL, next_check_at = NULL
       WHERE channel = ?`,
    );
    // Nor does it cut it short: a call made meanwhile may be answered with trouble that passes sooner.
    const kept = (column: string): string =>
      `CASE WHEN pause_code = 'busy' AND next_check_at > max(@now, @nextCheckAt) THEN ${column} ELSE`;
    // A client's call is not counted, but tells of trouble all the same: then it makes the row.
    this.#troubled = db.prepare(
      `INSERT INTO channel_calls (channel, day, calls, last_call_at, failures, paused_since, pause_code, pause_reason,
         next_check_at)
       SELECT name, @day, 0, @now, 1, @now, @code, @reason, @nextCheckAt FROM channels WHERE name = @channel
       ON CONFLICT (channel) DO UPDATE SET failures = failures + 1, paused_since = coalesce(paused_since, @now),
         pause_code = ${kept('pause_code')} @code END, pause_reason = ${kept('pause_reason')} @reason END,
         next_check_at = ${kept('next_check_at')} @nextCheckAt END`,
    );
    this.#checkNow = db.prepare(
      'UPDATE channel_calls SET failures = 1, next_check_at = ? WHERE channel = ? AND pause_code IS NOT NULL',
    );
    this.#forget = db.prepare('DELETE FROM channel_calls WHERE channel = ?');
  }

  of(channel: string, now: number): CallHistory {
    const row = this.#of.get(channel);
    if (!row) return NO_CALLS;
    return {
      callsToday: row.day === dayOf(now) ? row.calls : 0,
      lastCallAt: row.last_call_at,
      healthyAt: row.healthy_at,
      failures: row.failures,
      pause: pauseOf(row),
    };
  }

  /** Before the call is made: a crash never makes one too many. */
  count(channel: string, now: number): void {
    this.#count.run({ channel, day: dayOf(now), now });
  }

  /** After any other call than a health check. */
  settle(channel: string, pause: NewPause | null, now: number): void {
    if (pause) this.#troubled.run({ channel, now, day: dayOf(now), ...pause });
    else this.#answered.run({ channel, now });
  }

  settleCheck(channel: string, pause: NewPause | null, now: number): void {
    if (pause) this.#troubled.run({ channel, now, day: dayOf(now), ...pause });
    else this.#healthy.run(now, channel);
  }

  checkNow(channel: string, now: number): void {
    this.#checkNow.run(now, channel);
  }

  forget(channel: string): void {
    this.#forget.run(channel);
  }
}

/** Days since the Unix epoch, UTC. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

function pauseOf({ pause_code, pause_reason, paused_since, next_check_at }: HistoryRow): Pause | null {
  if (pause_code === null) return null;
  return { code: pause_code, reason: pause_reason ?? '', since: paused_since ?? 0, nextCheckAt: next_check_at ?? 0 };
}
