-- Who processes a message, until the claim ends: one owner among the replicas and flows of a channel.
CREATE TABLE claims (
  key        BLOB PRIMARY KEY, -- of the message id (store/rules/keys.ts)
  channel    TEXT NOT NULL,
  owner      TEXT NOT NULL,
  claimed_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX claims_by_end ON claims (expires_at); -- to prune them

-- How many rows of `claims` a channel has, those included that have ended and are not pruned yet.
CREATE TABLE claim_counts (
  channel TEXT PRIMARY KEY,
  rows    INTEGER NOT NULL
) WITHOUT ROWID;

-- The last probe of each channel: one message resynced to see how Whapi behaves.
CREATE TABLE probes (
  channel     TEXT PRIMARY KEY,
  message_id  TEXT, -- NULL: pruned
  started_at  INTEGER NOT NULL,
  finished_at INTEGER, -- NULL: it is running
  facts       TEXT NOT NULL -- what was seen, as JSON without personal data
) WITHOUT ROWID;
