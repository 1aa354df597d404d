import { callHistoryOf } from '../rules/call-history.js';
import type { CallHistoryRow } from '../rules/call-history.js';
import { utcDay } from '../rules/days.js';
import type { CallHistory, NewPause, News } from '../calls.js';
import type { Queries } from './queries.js';

const HISTORIES = `SELECT channel, day, calls, last_call_at, healthy_at, failures, paused_since, pause_code, pause_reason, next_check_at
  FROM gateway.channel_calls WHERE channel = ANY($1::text[])`;

const NEWS = 'SELECT channel, news FROM gateway.channel_news WHERE channel = ANY($1::text[]) ORDER BY noted_at, news';

// The news that a channel is away ends the news that it is back.
const NOTE_NEWS = `WITH ended AS (DELETE FROM gateway.channel_news WHERE channel = $1 AND $2::text = 'away' AND news = 'back')
  INSERT INTO gateway.channel_news (channel, news, noted_at) SELECT name, $2::text, $3::bigint FROM gateway.channels WHERE name = $1
  ON CONFLICT (channel, news) DO NOTHING`;

const COUNT_CALL = `INSERT INTO gateway.channel_calls AS c (channel, day, calls, last_call_at, failures)
  SELECT name, $2::int, 1, $3::bigint, 0 FROM gateway.channels WHERE name = $1
  ON CONFLICT (channel) DO UPDATE SET calls = CASE WHEN c.day = excluded.day THEN c.calls + 1 ELSE 1 END, day = excluded.day,
    last_call_at = excluded.last_call_at`;

// A client may call before Whapi's Retry-After is over; an answer to that call does not end the pause.
const SAVE_SUCCESS = `UPDATE gateway.channel_calls SET failures = 0, paused_since = NULL, pause_code = NULL, pause_reason = NULL,
    next_check_at = NULL
  WHERE channel = $1 AND failures > 0 AND (pause_code IS DISTINCT FROM 'busy' OR next_check_at <= $2)`;

const FORGET_BACK = "DELETE FROM gateway.channel_news WHERE channel = $1 AND news = 'back'";

// A good health check does not reset `failures`: a Whapi that is healthy but refuses each call gets longer pauses.
const SAVE_HEALTHY = `UPDATE gateway.channel_calls SET healthy_at = $2, pause_code = NULL, pause_reason = NULL, next_check_at = NULL
  WHERE channel = $1`;

// A failure during a Retry-After pause does not shorten it.
const unlessBusyLonger = (column: string): string =>
  `${column} = CASE WHEN c.pause_code = 'busy' AND c.next_check_at > greatest($2, excluded.next_check_at) THEN c.${column}
    ELSE excluded.${column} END`;
// A client's call is not counted, so its failure may be the first that is known of the channel.
const SAVE_FAILURE = `INSERT INTO gateway.channel_calls AS c (channel, day, calls, last_call_at, failures, paused_since, pause_code,
    pause_reason, next_check_at)
  SELECT name, $3::int, 0, $2::bigint, 1, $2::bigint, $4::text, $5::text, $6::bigint FROM gateway.channels WHERE name = $1
  ON CONFLICT (channel) DO UPDATE SET failures = c.failures + 1, paused_since = coalesce(c.paused_since, excluded.paused_since),
    ${unlessBusyLonger('pause_code')}, ${unlessBusyLonger('pause_reason')}, ${unlessBusyLonger('next_check_at')}`;

/** The calls to Whapi of these channels so far, by channel. */
export async function historiesOf(
  queries: Queries,
  channels: readonly string[],
  now: number,
): Promise<(channel: string) => CallHistory> {
  const [rows, noted] = await Promise.all([
    queries.all<CallHistoryRow & { channel: string }>(HISTORIES, channels),
    queries.all<{ channel: string; news: News }>(NEWS, channels),
  ]);
  const byChannel = new Map(rows.map((row) => [row.channel, row]));
  const newsOf = new Map<string, News[]>();
  for (const { channel, news } of noted) newsOf.set(channel, [...(newsOf.get(channel) ?? []), news]);
  return (channel) => callHistoryOf(byChannel.get(channel), newsOf.get(channel) ?? [], now);
}

/** See `Calls.noteNews`. Writes nothing if the news is noted already, as is usual. */
export async function noteNews(db: Queries, channel: string, news: News, now: number): Promise<void> {
  await db.run(NOTE_NEWS, channel, news, now);
}

/** See `Calls.takeNews`. */
export async function takeNews(queries: Queries, channel: string): Promise<readonly News[]> {
  const rows = await queries.all<{ news: News }>(
    'DELETE FROM gateway.channel_news WHERE channel = $1 RETURNING news',
    channel,
  );
  return rows.map(({ news }) => news);
}

/** Deletes what is known of a channel that is removed. */
export async function forgetCalls(queries: Queries, channel: string): Promise<void> {
  await queries.run('DELETE FROM gateway.channel_calls WHERE channel = $1', channel);
  await queries.run('DELETE FROM gateway.channel_news WHERE channel = $1', channel);
}

/** Counts a call before it is made, so that a crash never exceeds the daily budget. */
export async function countCall(queries: Queries, channel: string, now: number): Promise<void> {
  await queries.run(COUNT_CALL, channel, utcDay(now), now);
}

/** Saves the result of a call that is no health check; `pause` null: Whapi took the call. */
export async function saveAnswer(
  queries: Queries,
  channel: string,
  pause: NewPause | null,
  now: number,
): Promise<void> {
  if (pause) await saveFailure(queries, channel, pause, now);
  else await Promise.all([queries.run(SAVE_SUCCESS, channel, now), queries.run(FORGET_BACK, channel)]);
}

/** Saves the result of a health check; `pause` null: the channel is healthy. */
export async function saveCheck(queries: Queries, channel: string, pause: NewPause | null, now: number): Promise<void> {
  if (pause) await saveFailure(queries, channel, pause, now);
  else await queries.run(SAVE_HEALTHY, channel, now);
}

/** Makes the next health check of a paused channel due now. */
export async function checkNow(queries: Queries, channel: string, now: number): Promise<void> {
  await queries.run(
    'UPDATE gateway.channel_calls SET failures = 1, next_check_at = $2 WHERE channel = $1 AND pause_code IS NOT NULL',
    channel,
    now,
  );
}

async function saveFailure(
  queries: Queries,
  channel: string,
  { code, reason, nextCheckAt }: NewPause,
  now: number,
): Promise<void> {
  await queries.run(SAVE_FAILURE, channel, now, utcDay(now), code, reason, Math.round(nextCheckAt));
}
