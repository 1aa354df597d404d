import { HOUR_MS } from '../../durations.js';
import { utcHour } from '../rules/days.js';
import type { Queries } from './queries.js';
import type { TargetLoad } from '../outbox.js';

/** Full hours before the current one: together they cover the last day and up to an hour more. */
const HOURS_BEFORE = 24;

interface PendingRow {
  readonly pending: number;
  readonly oldest_at: number | null;
  readonly last_error: string | null;
  readonly dead: number;
}

/** The last error only of deliveries at the front of their lanes: one that waits behind another was not tried. */
const LOAD = `SELECT
  (SELECT count(*) FROM gateway.queue q WHERE q.target = $1) AS pending,
  (SELECT q.created_at FROM gateway.queue q WHERE q.target = $1 ORDER BY q.id LIMIT 1) AS oldest_at,
  (SELECT q.last_error FROM gateway.queue q WHERE q.target = $1 AND q.blocked = 0 AND q.tries > 0 ORDER BY q.due_at, q.id LIMIT 1) AS last_error,
  (SELECT count(*) FROM gateway.history h
    WHERE h.target = $1 AND h.status = 'dead' AND h.settled_at >= $2 AND h.cause IS DISTINCT FROM 'no_handler') AS dead`;

const UNHANDLED = `SELECT w.event, count(*) AS count FROM gateway.history h JOIN gateway.webhooks w ON w.id = h.webhook_id
  WHERE h.target = $1 AND h.status = 'dead' AND h.settled_at >= $2 AND h.cause = 'no_handler' GROUP BY w.event ORDER BY w.event`;

const NOTHING: TargetLoad = {
  pending: 0,
  oldestPendingAt: null,
  lastError: null,
  deadLastDay: 0,
  unhandledLastDay: [],
};

/** See `Outbox.loadOf`. @param target its number; undefined: it was removed, or never existed */
export async function loadOfTarget(queries: Queries, target: number | undefined, now: number): Promise<TargetLoad> {
  if (target === undefined) return NOTHING;
  const since = (utcHour(now) - HOURS_BEFORE) * HOUR_MS;
  const [row, unhandledLastDay] = await Promise.all([
    queries.one<PendingRow>(LOAD, target, since),
    queries.all<{ event: string; count: number }>(UNHANDLED, target, since),
  ]);
  if (!row) return NOTHING;
  return {
    pending: row.pending,
    oldestPendingAt: row.oldest_at,
    lastError: row.last_error,
    deadLastDay: row.dead,
    unhandledLastDay,
  };
}
