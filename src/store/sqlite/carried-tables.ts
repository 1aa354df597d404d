import { GREATEST_SEQ } from './delivery-tables.js';

/** How the rows of one of PostgreSQL's tables are read. */
export interface TableToCarry {
  /** PostgreSQL's. */
  readonly name: string;
  readonly from: string;
  readonly where: string;
  /** SQL for each of PostgreSQL's columns. A column that is left out keeps its default value. */
  readonly columns: Readonly<Record<string, string>>;
  /** Unique, and in the order of an index. */
  readonly key: readonly string[];
}

interface Differences {
  readonly from?: string;
  readonly where?: string;
  readonly columns?: Readonly<Record<string, string>>;
}

/** A table whose columns have the same names, but for some. */
function same(
  name: string,
  key: string,
  columns: string,
  { from = name, where = 'true', columns: differing = {} }: Differences = {},
): TableToCarry {
  const equal = Object.fromEntries(columns.split(' ').map((column) => [column, `"${column}"`]));
  return { name, from, where, columns: { ...equal, ...differing }, key: key.split(' ') };
}

/** What the start of a gateway does with calls to Whapi that the process before it was making. */
const INTERRUPTED =
  "status = 'requesting' AND next_at IS NOT NULL AND closed = 0 AND channel IN (SELECT name FROM channels)";
/** A crash interrupted their registration: a start drops them. */
const COMPLETE = 'resync IN (SELECT number FROM resyncs WHERE complete = 1)';
/** Of SQLite alone. */
const OWN_VALUES = [GREATEST_SEQ, 'probed_at', 'clock_seen_at', 'clock_confirmed_at', 'clock_set_back_at'];

const DELIVERY =
  'id webhook_id target channel attempts tries verdicts positions body newest_message_at created_at last_error log released';

/** All tables but the ledger. Those that are counted by the engine itself are not among them, nor is what only SQLite needs. */
export const CARRIED_TABLES: readonly TableToCarry[] = [
  same('meta', 'key', 'key value', { where: `key NOT IN (${OWN_VALUES.map((name) => `'${name}'`).join()})` }),
  same(
    'channels',
    'name',
    'name channel_id whapi_token webhook_secret whapi_base_url late_after_seconds created_at auto_resync resync_spacing_ms ' +
      'daily_call_budget on_replay replay_after_seconds replay_messages',
  ),
  same('connections', 'channel', 'channel webhook_url set_persist connected_at'),
  same(
    'targets',
    'number',
    'number id name url channels events deliver mode split headers secret previous_secrets timeout_ms max_attempts ' +
      'retry_delays_seconds max_age_seconds concurrency rate_per_second backlog_policy backlog_after_seconds ' +
      'backlog_rate_per_minute skip_answered enabled disabled_reason created_at removed_at',
  ),
  same('removals', 'number', 'number target channel'),
  // A probe ends with its process.
  same('breakers', 'target', 'target version state consecutive_failures times_opened opened_at next_probe_at'),
  same(
    'channel_calls',
    'channel',
    'channel day calls last_call_at healthy_at failures paused_since pause_code pause_reason next_check_at',
  ),
  same('channel_webhooks', 'channel', 'channel last_at refused_day refused refused_at refused_code'),
  same('replays', 'channel', 'channel began_at last_at messages held oldest_sent_at'),
  same(
    'resyncs',
    'number',
    'number id channel deliver_unseen window_seconds idempotency_key fingerprint created_at cancelled_at complete last_asked_at call_ms',
    { where: 'complete = 1' },
  ),
  same(
    'resync_messages',
    'resync position',
    'resync position message_id key channel asked_at calls polls refused closed restored_at settled_at window_seconds known proof error',
    {
      where: COMPLETE,
      columns: {
        status: `CASE WHEN ${INTERRUPTED} THEN 'queued' ELSE status END`,
        next_at: `CASE WHEN ${INTERRUPTED} THEN asked_at ELSE next_at END`,
        closes_at: `CASE WHEN ${INTERRUPTED} THEN NULL ELSE closes_at END`,
      },
    },
  ),
  same(
    'audits',
    'number',
    'number id kind channel since until memory_since status walk listed seen missing older seeded released created_at ended_at error',
  ),
  same('audit_messages', 'number', 'number audit round key message_id type chat_id sent_at json found_at released_at'),
  same(
    'jobs',
    'number',
    'number kind filter status total done skipped cursor created_at finished_at stepped_at busy_ms',
  ),
  same('probes', 'channel', 'channel message_id started_at finished_at facts'),
  same('claims', 'key', 'key channel owner claimed_at expires_at'),
  same('rollups', 'step_ms subject start', 'step_ms subject start figures'),
  same('chats', 'key', 'key newest_at received_at own_at'),
  same('fingerprints', 'key', 'key recorded_at'),
  same('objects', 'key', 'key recorded_at last'),
  same('content_fingerprints', 'key message_key', 'key message_key sent_at came_as'),
  same('webhooks', 'id', 'id received_at channel method suffix content_type event audit via body'),
  same(
    'sightings',
    'webhook_id position',
    'webhook_id position rule held placeholder carrier message_key message_id verdict',
  ),
  same(
    'evidence',
    'webhook_id position',
    'webhook_id position recorded_at newest_sent_at newest_received_at sent_at late_after_seconds same_as replay_began_at replay_after_seconds',
  ),
  same('queue', 'id', `${DELIVERY} seq due_at resume_at asked streak`, {
    from: 'deliveries',
    where: "status = 'pending'",
    // Below 0: it was in flight when the process ended, so it is the first in its lanes.
    columns: { lanes: 'chats', blocked: 'max(blocked, 0)' },
  }),
  same('history', 'id', `${DELIVERY} status cause`, {
    from: 'deliveries',
    where: "status <> 'pending'",
    columns: { lanes: 'chats', settled_at: 'coalesce(settled_at, created_at)' },
  }),
];
