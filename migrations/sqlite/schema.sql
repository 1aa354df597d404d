CREATE TABLE audit_messages (
  number      INTEGER PRIMARY KEY,
  audit       INTEGER NOT NULL,
  round       INTEGER NOT NULL, -- in which it was found; what an earlier round alone found no longer counts
  key         BLOB NOT NULL,
  message_id  TEXT NOT NULL,
  type        TEXT,
  chat_id     TEXT,
  sent_at     INTEGER NOT NULL, -- Unix seconds
  json        BLOB NOT NULL,    -- the element of Whapi's list, byte for byte
  found_at    INTEGER NOT NULL,
  released_at INTEGER
);

CREATE UNIQUE INDEX audit_messages_by_key ON audit_messages (key, audit);

CREATE INDEX audit_messages_in_order ON audit_messages (audit, sent_at, number);

CREATE TABLE audits (
  number       INTEGER PRIMARY KEY AUTOINCREMENT,
  id           TEXT NOT NULL UNIQUE,
  kind         TEXT NOT NULL,
  channel      TEXT NOT NULL,
  since        INTEGER NOT NULL, -- Unix seconds, included
  until        INTEGER NOT NULL, -- Unix seconds, included
  memory_since INTEGER NOT NULL,
  status       TEXT NOT NULL,
  walk         TEXT,             -- JSON: how far the reading is; NULL: not begun
  listed       INTEGER NOT NULL DEFAULT 0,
  seen         INTEGER NOT NULL DEFAULT 0,
  missing      INTEGER NOT NULL DEFAULT 0,
  older        INTEGER NOT NULL DEFAULT 0, -- than the gateway's memory
  seeded       INTEGER NOT NULL DEFAULT 0,
  released     INTEGER NOT NULL DEFAULT 0,
  created_at   INTEGER NOT NULL,
  ended_at     INTEGER,
  error        TEXT
);

CREATE INDEX audits_running ON audits (channel, number) WHERE status = 'running';

CREATE TABLE breakers (
  target               INTEGER PRIMARY KEY,
  state                TEXT NOT NULL,
  consecutive_failures INTEGER NOT NULL,
  times_opened         INTEGER NOT NULL, -- since it was last well
  opened_at            INTEGER,
  next_probe_at        INTEGER
, version INTEGER NOT NULL DEFAULT 1, probe_until INTEGER);

CREATE TABLE channel_calls (
  channel       TEXT PRIMARY KEY,
  day           INTEGER NOT NULL, -- days since the Unix epoch, UTC
  calls         INTEGER NOT NULL, -- on that day
  last_call_at  INTEGER NOT NULL,
  healthy_at    INTEGER,          -- when Whapi last said that the channel can resync
  failures      INTEGER NOT NULL, -- in a row
  paused_since  INTEGER,          -- NULL: no trouble since the last call that was answered
  pause_code    TEXT,             -- NULL: calls are made
  pause_reason  TEXT,
  next_check_at INTEGER
) WITHOUT ROWID;

CREATE TABLE channel_webhooks (
  channel      TEXT PRIMARY KEY,
  last_at      INTEGER, -- of the accepted ones; written at most every few seconds
  refused_day  INTEGER, -- days since the Unix epoch, UTC
  refused      INTEGER NOT NULL DEFAULT 0, -- on that day
  refused_at   INTEGER,
  refused_code TEXT
) WITHOUT ROWID;

CREATE TABLE channels (
  name               TEXT PRIMARY KEY,
  channel_id         TEXT,
  whapi_token        TEXT NOT NULL, -- encrypted
  webhook_secret     TEXT NOT NULL, -- encrypted
  whapi_base_url     TEXT NOT NULL,
  late_after_seconds INTEGER NOT NULL,
  created_at         INTEGER NOT NULL
, auto_resync INTEGER NOT NULL DEFAULT 0, resync_spacing_ms INTEGER, daily_call_budget INTEGER, on_replay TEXT NOT NULL DEFAULT 'deliver', replay_after_seconds INTEGER NOT NULL DEFAULT 432000, replay_messages INTEGER NOT NULL DEFAULT 20) WITHOUT ROWID;

CREATE TABLE chats (
  key         BLOB PRIMARY KEY,
  newest_at   INTEGER NOT NULL, -- Unix seconds, by the message itself
  received_at INTEGER NOT NULL
, own_at INTEGER) WITHOUT ROWID;

CREATE TABLE claim_counts (
  channel TEXT PRIMARY KEY,
  rows    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE claims (
  key        BLOB PRIMARY KEY, -- of the message id (store/rules/keys.ts)
  channel    TEXT NOT NULL,
  owner      TEXT NOT NULL,
  claimed_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX claims_by_channel ON claims (channel);

CREATE INDEX claims_by_end ON claims (expires_at);

CREATE TABLE connections (
  channel      TEXT PRIMARY KEY,
  webhook_url  TEXT NOT NULL,
  set_persist  INTEGER NOT NULL, -- callback_persist was off before
  connected_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE content_fingerprints (
  key         BLOB NOT NULL,    -- the hash of type, from_me, time, content and chat or sender; or the key of another message id
  message_key BLOB NOT NULL,    -- of the registered id
  sent_at     INTEGER NOT NULL, -- Unix seconds, by the message itself
  came_as     BLOB,             -- the key of the id under which it came; NULL: it has not come
  PRIMARY KEY (key, message_key)
) WITHOUT ROWID;

CREATE INDEX content_fingerprints_by_message ON content_fingerprints (message_key);

CREATE INDEX content_fingerprints_by_time ON content_fingerprints (sent_at);

CREATE TABLE dead_counts (
  target INTEGER NOT NULL,
  hour   INTEGER NOT NULL, -- since the Unix epoch
  cause  TEXT NOT NULL,    -- 'no_handler', or '' for all others
  event  TEXT NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (target, hour, cause, event)
) WITHOUT ROWID;

CREATE TABLE deliveries (
  id                INTEGER PRIMARY KEY, -- grows with time
  webhook_id        INTEGER NOT NULL,
  target            INTEGER NOT NULL,
  channel           TEXT NOT NULL,
  status            TEXT NOT NULL,
  seq               INTEGER NOT NULL,  -- its place in its lanes; a retry by a person gets a new one
  chats             BLOB NOT NULL,     -- the 16-byte keys of its lanes, one after the other
  blocked           INTEGER NOT NULL,  -- lanes in which an earlier delivery is not settled; claimable at 0 (I6)
  due_at            INTEGER NOT NULL,  -- while leased: when the lease expires (I5)
  lease             INTEGER,
  attempts          INTEGER NOT NULL,  -- all that were ever made
  tries             INTEGER NOT NULL,  -- attempts since it was recorded or last retried by a person
  verdicts          TEXT NOT NULL,     -- comma list, one per item sent
  positions         TEXT,              -- JSON: which items of the webhook; NULL: all of them
  body              BLOB,              -- what is left of the webhook's body; NULL: the very bytes that came
  newest_message_at INTEGER,           -- Unix seconds
  created_at        INTEGER NOT NULL,
  settled_at        INTEGER,
  last_error        TEXT,
  log               TEXT NOT NULL      -- JSON: the newest attempts
, resume_at INTEGER, asked INTEGER NOT NULL DEFAULT 0, released INTEGER NOT NULL DEFAULT 0, streak TEXT, cause TEXT);

CREATE INDEX deliveries_by_rare_status ON deliveries (status, id) WHERE status <> 'delivered' AND status <> 'pending';

CREATE INDEX deliveries_due_again ON deliveries (target, due_at, id) WHERE status = 'pending' AND blocked = 0 AND tries > 0;

CREATE INDEX deliveries_due_first ON deliveries (target, due_at, id) WHERE status = 'pending' AND blocked = 0 AND tries = 0;

CREATE INDEX deliveries_in_flight ON deliveries (target, id) WHERE status = 'pending' AND blocked < 0;

CREATE INDEX deliveries_pending ON deliveries (target, id) WHERE status = 'pending' AND blocked >= 0;

CREATE INDEX deliveries_released ON deliveries (webhook_id) WHERE released = 1;

CREATE TABLE evidence (
  webhook_id         INTEGER NOT NULL,
  position           INTEGER NOT NULL,
  recorded_at        INTEGER, -- rows 1, 4, 6, 13, 15: when the same bytes were recorded before
  newest_sent_at     INTEGER, -- row 9: the newest message of the chat, Unix seconds
  newest_received_at INTEGER,
  sent_at            INTEGER, -- row 9: the message itself, Unix seconds
  late_after_seconds INTEGER, same_as TEXT, replay_began_at INTEGER, replay_after_seconds INTEGER, -- row 9: the channel's setting at that time
  PRIMARY KEY (webhook_id, position)
) WITHOUT ROWID;

CREATE TABLE "fingerprints" (
  key         BLOB PRIMARY KEY,
  recorded_at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE id_marks (
  set_at      INTEGER PRIMARY KEY,
  greatest_id INTEGER NOT NULL
);

CREATE TABLE jobs (
  number      INTEGER PRIMARY KEY, -- grows with time, together with the ids of webhooks and deliveries
  kind        TEXT NOT NULL,
  filter      TEXT NOT NULL, -- JSON
  status      TEXT NOT NULL,
  total       INTEGER NOT NULL,
  done        INTEGER NOT NULL,
  skipped     INTEGER NOT NULL,
  cursor      TEXT NOT NULL, -- JSON: the numbers behind which the next step begins
  created_at  INTEGER NOT NULL,
  finished_at INTEGER
, stepped_at INTEGER, busy_ms INTEGER NOT NULL DEFAULT 0);

CREATE INDEX jobs_running ON jobs (number) WHERE status = 'running';

CREATE TABLE lanes (
  target      INTEGER NOT NULL,
  chat        BLOB NOT NULL,
  seq         INTEGER NOT NULL,
  delivery_id INTEGER NOT NULL,
  PRIMARY KEY (target, chat, seq)
) WITHOUT ROWID;

CREATE TABLE "ledger_before_runs" (
  key           BLOB PRIMARY KEY,
  fingerprint         BLOB,    -- of the bytes first recorded under this id
  first_seen_at INTEGER, -- NULL: Whapi was asked for it, and it never came
  last_seen_at  INTEGER NOT NULL,
  rule          INTEGER, -- of the first sighting
  webhook_id    INTEGER, -- of the first sighting; may be pruned
  position      INTEGER
, seeded_at INTEGER, unposted INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

CREATE TABLE ledger_filters (
  id   INTEGER PRIMARY KEY, -- run * 65536 + part
  bits BLOB NOT NULL
);

CREATE TABLE ledger_ids (
  run          INTEGER NOT NULL,
  key          BLOB NOT NULL,
  webhook_id   INTEGER,
  fingerprint  BLOB,
  position     INTEGER,
  more         TEXT,
  PRIMARY KEY (run, key)
) WITHOUT ROWID;

CREATE TABLE ledger_recent (
  id           INTEGER PRIMARY KEY,
  key          BLOB NOT NULL,
  webhook_id   INTEGER, -- of the first sighting; may be pruned. NULL: Whapi was asked for it, or listed it, and it never came
  fingerprint  BLOB,    -- the first 8 bytes of the hash of what was first recorded under this id
  position     INTEGER, -- of the first sighting
  more         TEXT     -- JSON: what is not as usual; see ledger-rows.ts
);

CREATE TABLE ledger_runs (
  number     INTEGER PRIMARY KEY,
  state      TEXT NOT NULL,    -- copying: ledger_recent holds the same ids, and counts; clearing: this run counts; done
  last_id    INTEGER NOT NULL, -- of its ids in ledger_recent
  parts      INTEGER NOT NULL, -- of its filter: ranges of keys of the same length
  part_bytes INTEGER NOT NULL,
  oldest_at  INTEGER           -- no id was last seen before; NULL: none is copied yet
);

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE objects (
  key         BLOB PRIMARY KEY,
  last        BLOB NOT NULL,    -- the 16-byte fingerprints of what the newest webhook told of it, in order
  recorded_at INTEGER NOT NULL  -- when they first came
) WITHOUT ROWID;

CREATE TABLE probes (
  channel     TEXT PRIMARY KEY,
  message_id  TEXT, -- NULL: pruned
  started_at  INTEGER NOT NULL,
  finished_at INTEGER, -- NULL: it is running
  facts       TEXT NOT NULL -- what was seen, as JSON without personal data
) WITHOUT ROWID;

CREATE TABLE removals (
  number  INTEGER PRIMARY KEY,
  target  INTEGER UNIQUE, -- the number of a target, or
  channel TEXT UNIQUE     -- the name of a channel
);

CREATE TABLE replays (
  channel        TEXT PRIMARY KEY,
  began_at       INTEGER NOT NULL, -- when the first of its messages came
  last_at        INTEGER NOT NULL,
  messages       INTEGER NOT NULL,
  held           INTEGER NOT NULL, -- of them, judged by row 19
  oldest_sent_at INTEGER NOT NULL  -- Unix seconds
) WITHOUT ROWID;

CREATE TABLE resync_messages (
  resync      INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  message_id  TEXT NOT NULL,
  key         BLOB NOT NULL,
  channel     TEXT NOT NULL,
  status      TEXT NOT NULL,
  asked_at    INTEGER,          -- the last call with resync=true
  calls       INTEGER NOT NULL,
  polls       INTEGER NOT NULL,
  refused     INTEGER NOT NULL, -- Whapi refused the last call
  closes_at   INTEGER,          -- NULL: the window is open without an end, for nothing was asked yet
  closed      INTEGER NOT NULL,
  next_at     INTEGER,          -- the next call to Whapi
  restored_at INTEGER,
  error       TEXT, known INTEGER NOT NULL DEFAULT 0, proof TEXT, settled_at INTEGER, window_seconds INTEGER,
  PRIMARY KEY (resync, position)
) WITHOUT ROWID;

CREATE INDEX resync_messages_by_key ON resync_messages (key);

CREATE INDEX resync_messages_by_status ON resync_messages (resync, status);

CREATE INDEX resync_messages_due ON resync_messages (channel, status, next_at) WHERE next_at IS NOT NULL;

CREATE INDEX resync_messages_in_progress ON resync_messages (channel) WHERE status IN ('queued', 'requesting', 'waiting');

CREATE INDEX resync_messages_open ON resync_messages (closes_at) WHERE closed = 0;

CREATE INDEX resync_messages_settled ON resync_messages (resync, settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE resyncs (
  number          INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  channel         TEXT NOT NULL,
  deliver_unseen  INTEGER NOT NULL,
  window_seconds  INTEGER NOT NULL,
  idempotency_key TEXT UNIQUE,
  fingerprint     TEXT,
  created_at      INTEGER NOT NULL,
  cancelled_at    INTEGER
, complete INTEGER NOT NULL DEFAULT 1, last_asked_at INTEGER, call_ms REAL);

CREATE INDEX resyncs_incomplete ON resyncs (number) WHERE complete = 0;

CREATE TABLE rollups (
  step_ms INTEGER NOT NULL,
  subject TEXT NOT NULL,    -- a channel, a target, or all of them: see src/metrics.ts
  start   INTEGER NOT NULL, -- Unix milliseconds, a multiple of step_ms
  figures TEXT NOT NULL,    -- JSON: numbers by name
  PRIMARY KEY (step_ms, subject, start)
) WITHOUT ROWID;

CREATE TABLE sightings (
  webhook_id  INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  carrier     TEXT NOT NULL,
  message_key BLOB,
  message_id  TEXT,
  verdict     TEXT NOT NULL,
  rule        INTEGER NOT NULL,
  held        INTEGER NOT NULL, placeholder INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (webhook_id, position)
) WITHOUT ROWID;

CREATE INDEX sightings_by_message ON sightings (message_key) WHERE message_key IS NOT NULL AND rule <> 10;

CREATE INDEX sightings_by_rare_verdict ON sightings (verdict, webhook_id) WHERE verdict <> 'new' AND verdict <> 'event';

CREATE INDEX sightings_held ON sightings (webhook_id) WHERE held = 1;

CREATE INDEX sightings_held_messages ON sightings (message_key) WHERE held = 1 AND carrier = 'messages';

CREATE TABLE target_counts (
  target  INTEGER PRIMARY KEY,
  pending INTEGER NOT NULL
);

CREATE TABLE targets (
  number          INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: deliveries outlive their target
  id              TEXT NOT NULL UNIQUE,
  name            TEXT NOT NULL,
  url             TEXT NOT NULL,
  channels        TEXT NOT NULL, -- JSON
  events          TEXT NOT NULL, -- JSON
  deliver         TEXT NOT NULL, -- JSON
  mode            TEXT NOT NULL,
  headers         TEXT NOT NULL, -- JSON
  secret          TEXT NOT NULL, -- encrypted
  timeout_ms      INTEGER NOT NULL,
  max_attempts    INTEGER NOT NULL,
  max_age_seconds INTEGER,
  concurrency     INTEGER NOT NULL,
  rate_per_second REAL,
  enabled         INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  removed_at      INTEGER
, retry_delays_seconds TEXT, disabled_reason TEXT, previous_secrets TEXT NOT NULL DEFAULT '[]', split TEXT NOT NULL DEFAULT 'none', backlog_policy TEXT NOT NULL DEFAULT 'all', backlog_after_seconds INTEGER NOT NULL DEFAULT 600, backlog_rate_per_minute REAL, skip_answered INTEGER NOT NULL DEFAULT 0);

CREATE TABLE webhooks (
  id           INTEGER PRIMARY KEY, -- grows with time: see src/ledger/ids.ts
  channel      TEXT NOT NULL,
  received_at  INTEGER NOT NULL,
  method       TEXT NOT NULL,
  suffix       TEXT NOT NULL,
  content_type TEXT,
  event        TEXT NOT NULL,
  body         BLOB NOT NULL
, audit TEXT, via TEXT);
