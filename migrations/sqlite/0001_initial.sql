-- Times are milliseconds since the Unix epoch unless a name says otherwise. Keys are the first 16 bytes of a SHA-256
-- (src/ledger/keys.ts): message ids carry phone numbers, so what lasts keeps no id in the clear.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE channels (
  name               TEXT PRIMARY KEY,
  channel_id         TEXT,
  whapi_token        TEXT NOT NULL, -- encrypted
  webhook_secret     TEXT NOT NULL, -- encrypted
  whapi_base_url     TEXT NOT NULL,
  late_after_seconds INTEGER NOT NULL,
  created_at         INTEGER NOT NULL
) WITHOUT ROWID;

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
);

-- What came in. Pruned with its sightings and deliveries; the ledger below outlives it.
CREATE TABLE webhooks (
  id           INTEGER PRIMARY KEY, -- grows with time: see src/ledger/ids.ts
  channel      TEXT NOT NULL,
  received_at  INTEGER NOT NULL,
  method       TEXT NOT NULL,
  suffix       TEXT NOT NULL,
  content_type TEXT,
  event        TEXT NOT NULL,
  body         BLOB NOT NULL
);

-- One verdict for one item (I3).
CREATE TABLE sightings (
  webhook_id  INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  carrier     TEXT NOT NULL,
  message_key BLOB,
  message_id  TEXT,
  verdict     TEXT NOT NULL,
  rule        INTEGER NOT NULL,
  held        INTEGER NOT NULL,
  PRIMARY KEY (webhook_id, position)
) WITHOUT ROWID;

-- Rule 10 is the sighting that the ledger's row itself points to. Leaving it out keeps the one write at a random place
-- of an index away from the path that every live message takes.
CREATE INDEX sightings_by_message ON sightings (message_key) WHERE message_key IS NOT NULL AND rule <> 10;
CREATE INDEX sightings_held ON sightings (webhook_id) WHERE held = 1;
CREATE INDEX sightings_by_rare_verdict ON sightings (verdict, webhook_id) WHERE verdict <> 'new' AND verdict <> 'event';

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
);

CREATE INDEX deliveries_due ON deliveries (target, due_at, id) WHERE status = 'pending' AND blocked = 0;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id);
CREATE INDEX deliveries_failed ON deliveries (status, id) WHERE status IN ('dead', 'expired');

-- The unsettled deliveries of each chat of each target, in order. Only the first of a lane may be claimed (I6).
CREATE TABLE lanes (
  target      INTEGER NOT NULL,
  chat        BLOB NOT NULL,
  seq         INTEGER NOT NULL,
  delivery_id INTEGER NOT NULL,
  PRIMARY KEY (target, chat, seq)
) WITHOUT ROWID;

-- The lasting memory of message ids.
CREATE TABLE ledger (
  key           BLOB PRIMARY KEY,
  trace         BLOB,    -- of the bytes first recorded under this id
  first_seen_at INTEGER, -- NULL: Whapi was asked for it, and it never came
  last_seen_at  INTEGER NOT NULL,
  rule          INTEGER, -- of the first sighting
  webhook_id    INTEGER, -- of the first sighting; may be pruned
  position      INTEGER
) WITHOUT ROWID;

-- Bytes recorded before: of messages (rules 1, 4 and 6) for as long as the ledger, of the rest (rule 13) for 2 hours.
CREATE TABLE traces (
  key         BLOB PRIMARY KEY,
  recorded_at INTEGER NOT NULL,
  lasting     INTEGER NOT NULL
) WITHOUT ROWID;

-- The newest message of each chat (rule 9).
CREATE TABLE chats (
  key         BLOB PRIMARY KEY,
  newest_at   INTEGER NOT NULL, -- Unix seconds, by the message itself
  received_at INTEGER NOT NULL
) WITHOUT ROWID;

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
);

-- One registration per row (I2).
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
  error       TEXT,
  PRIMARY KEY (resync, position)
) WITHOUT ROWID;

CREATE INDEX resync_messages_by_key ON resync_messages (key);
CREATE INDEX resync_messages_by_status ON resync_messages (resync, status);
CREATE INDEX resync_messages_due ON resync_messages (channel, status, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX resync_messages_open ON resync_messages (closes_at) WHERE closed = 0;
