ALTER TABLE channels ADD COLUMN resync_spacing_ms INTEGER; -- NULL: the usual spacing
ALTER TABLE channels ADD COLUMN daily_call_budget INTEGER; -- NULL: no limit

-- What the calls to Whapi of one channel came to: it outlives a restart, so that neither a budget nor a pause begins anew.
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

ALTER TABLE resyncs ADD COLUMN complete INTEGER NOT NULL DEFAULT 1; -- 0: its ids are still being registered
ALTER TABLE resyncs ADD COLUMN last_asked_at INTEGER;
ALTER TABLE resyncs ADD COLUMN call_ms REAL; -- how long a call with resync=true usually takes; NULL: none was answered

ALTER TABLE resync_messages ADD COLUMN known INTEGER NOT NULL DEFAULT 0; -- a webhook had carried it before it was registered
ALTER TABLE resync_messages ADD COLUMN proof TEXT;         -- of `restored`: webhook or look
ALTER TABLE resync_messages ADD COLUMN settled_at INTEGER; -- NULL: not settled
CREATE INDEX resync_messages_settled ON resync_messages (resync, settled_at) WHERE settled_at IS NOT NULL;
