import type { Base } from './base.js';
import { dayStart } from './numbers.js';
import type { DatabaseServer, ServerFacts } from '../server.js';

/** Transactions of other users show their start only to a superuser or a member of pg_read_all_stats. */
const FACTS = `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
    current_setting('synchronous_commit') AS synchronous_commit,
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
      WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()) AS oldest_seconds,
    (SELECT min(day) FROM days) AS oldest_day, (SELECT max(day) FROM days) AS newest_day
  FROM (SELECT 1) AS one`;
const DAYS = `WITH days AS (SELECT substring(relname FROM '^webhooks_([0-9]+)$')::int AS day FROM pg_class
    WHERE relnamespace = 'gateway'::regnamespace AND relname ~ '^webhooks_[0-9]+$')`;

interface FactsRow {
  readonly version: string;
  readonly fsync: string;
  readonly synchronous_commit: string;
  readonly oldest_seconds: number;
  readonly oldest_day: number | null;
  readonly newest_day: number | null;
}

/** Facts about the server for the doctor. */
export class PostgresServer implements DatabaseServer {
  readonly #base: Base;

  constructor(base: Base) {
    this.#base = base;
  }

  async facts(): Promise<ServerFacts | null> {
    const { db, now, effects, measureClock } = this.#base;
    await measureClock();
    const row = await db.one<FactsRow>(`${DAYS} ${FACTS}`);
    if (!row) return null;
    return {
      version: row.version.split(' ')[0] ?? row.version,
      hasFsync: row.fsync === 'on',
      synchronousCommit: row.synchronous_commit,
      oldestTransactionMs: Math.round(row.oldest_seconds * 1000),
      oldestDayAt: row.oldest_day === null ? null : dayStart(row.oldest_day),
      newestDayAt: row.newest_day === null ? null : dayStart(row.newest_day),
      clockAheadMs: effects.now() - now(),
    };
  }
}
