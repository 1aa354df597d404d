-- Comparisons of Whapi's list of messages with the ledger, and seedings of the ledger from it.

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

-- What Whapi has and no webhook brought. Pruned with its audit.
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

-- A seeding wrote the id: Whapi had it in its list. It counts as known an hour later, for until then its webhook may be on
-- its way (docs/api.md, Seeding).
ALTER TABLE ledger ADD COLUMN seeded_at INTEGER;

-- The audit whose release made this webhook; NULL: it came from Whapi.
ALTER TABLE webhooks ADD COLUMN audit TEXT;
