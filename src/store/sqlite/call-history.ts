import { callHistoryOf } from '../rules/call-history.js';
import type { CallHistoryRow } from '../rules/call-history.js';
import { utcDay } from '../rules/days.js';
import type { Db } from './database.js';
import type { CallHistory, NewPause, News } from '../calls.js';

const NO_NEWS: readonly News[] = [];

/**
 * The history of the calls to Whapi, one row for each channel. News is kept in memory only: it is a hint to check earlier.
 * Methods that write, except those for news, are for use inside a transaction.
 */
export class CallHistoryTable {
  readonly #news = new Map<string, readonly News[]>();
  readonly #row;
  readonly #countCall;
  readonly #saveSuccess;
  readonly #saveHealthy;
  readonly #saveFailure;
  readonly #checkNow;
  readonly #delete;

  constructor(db: Db) {
    this.#row = db.prepare<[string], CallHistoryRow>('SELECT * FROM channel_calls WHERE channel = ?');
    this.#countCall = db.prepare(
      `INSERT INTO channel_calls (channel, day, calls, last_call_at, failures)
       SELECT name, @day, 1, @now, 0 FROM channels WHERE name = @channel
       ON CONFLICT (channel) DO UPDATE SET calls = CASE WHEN day = @day THEN calls + 1 ELSE 1 END, day = @day,
         last_call_at = @now`,
    );
    // A client may call before Whapi's Retry-After is over; an answer to that call does not end the pause.
    this.#saveSuccess = db.prepare(
      `UPDATE channel_calls SET failures = 0, paused_since = NULL, pause_code = NULL, pause_reason = NULL,
         next_check_at = NULL
       WHERE channel = @channel AND failures > 0 AND (pause_code IS NOT 'busy' OR next_check_at <= @now)`,
    );
    // A good health check does not reset `failures`: a Whapi that is healthy but refuses each call gets longer pauses.
    this.#saveHealthy = db.prepare(
      `UPDATE channel_calls SET healthy_at = ?, pause_code = NULL, pause_reason = NULL, next_check_at = NULL
       WHERE channel = ?`,
    );
    // A failure during a Retry-After pause does not shorten it.
    const unlessBusyLonger = (column: string): string =>
      `CASE WHEN pause_code = 'busy' AND next_check_at > max(@now, @nextCheckAt) THEN ${column} ELSE`;
    // A client's call is not counted, so its failure may be the first that is known of the channel.
    this.#saveFailure = db.prepare(
      `INSERT INTO channel_calls (channel, day, calls, last_call_at, failures, paused_since, pause_code, pause_reason,
         next_check_at)
       SELECT name, @day, 0, @now, 1, @now, @code, @reason, @nextCheckAt FROM channels WHERE name = @channel
       ON CONFLICT (channel) DO UPDATE SET failures = failures + 1, paused_since = coalesce(paused_since, @now),
         pause_code = ${unlessBusyLonger('pause_code')} @code END, pause_reason = ${unlessBusyLonger('pause_reason')} @reason END,
         next_check_at = ${unlessBusyLonger('next_check_at')} @nextCheckAt END`,
    );
    this.#checkNow = db.prepare(
      'UPDATE channel_calls SET failures = 1, next_check_at = ? WHERE channel = ? AND pause_code IS NOT NULL',
    );
    this.#delete = db.prepare('DELETE FROM channel_calls WHERE channel = ?');
  }

  of(channel: string, now: number): CallHistory {
    return callHistoryOf(this.#row.get(channel), this.#news.get(channel) ?? NO_NEWS, now);
  }

  /** See `Calls.noteNews`. */
  noteNews(channel: string, news: News): void {
    const before = this.#news.get(channel) ?? NO_NEWS;
    const kept = before.filter((each) => each !== news && !(news === 'away' && each === 'back'));
    this.#news.set(channel, [...kept, news]);
  }

  /** See `Calls.takeNews`. */
  takeNews(channel: string): readonly News[] {
    const news = this.#news.get(channel) ?? NO_NEWS;
    this.#news.delete(channel);
    return news;
  }

  #forgetBack(channel: string): void {
    const news = this.#news.get(channel);
    if (news?.includes('back'))
      this.#news.set(
        channel,
        news.filter((each) => each !== 'back'),
      );
  }

  /** Counts a call before it is made, so that a crash never exceeds the daily budget. */
  countCall(channel: string, now: number): void {
    this.#countCall.run({ channel, day: utcDay(now), now });
  }

  /** Saves the result of a call that is no health check; `pause` null: Whapi took the call. */
  saveAnswer(channel: string, pause: NewPause | null, now: number): void {
    if (pause) this.#saveFailure.run({ channel, now, day: utcDay(now), ...pause });
    else {
      this.#saveSuccess.run({ channel, now });
      this.#forgetBack(channel);
    }
  }

  /** Saves the result of a health check; `pause` null: the channel is healthy. */
  saveCheck(channel: string, pause: NewPause | null, now: number): void {
    if (pause) this.#saveFailure.run({ channel, now, day: utcDay(now), ...pause });
    else this.#saveHealthy.run(now, channel);
  }

  /** Makes the next health check of a paused channel due now. */
  checkNow(channel: string, now: number): void {
    this.#checkNow.run(now, channel);
  }

  remove(channel: string): void {
    this.#delete.run(channel);
    this.#news.delete(channel);
  }
}
