-- A random page for each id was half of what a webhook writes. So ids are appended, and sorted in large runs:
-- see src/store/sqlite/remembered-ids.ts.

-- Ids of the earlier versions. They stay here until they are recorded again or forgotten.
ALTER TABLE ledger RENAME TO ledger_before_runs;

-- The newest ids, in the order of recording. An index in memory finds them.
CREATE TABLE ledger_recent (
  id           INTEGER PRIMARY KEY,
  key          BLOB NOT NULL,
  webhook_id   INTEGER, -- of the first sighting; may be pruned. NULL: Whapi was asked for it, or listed it, and it never came
  fingerprint  BLOB,    -- the first 8 bytes of the hash of what was first recorded under this id
  position     INTEGER, -- of the first sighting
  more         TEXT     -- JSON: what is not as usual; see ledger-rows.ts
);

-- Each run holds some 100,000 ids that were recorded one after the other, sorted.
CREATE TABLE ledger_runs (
  number     INTEGER PRIMARY KEY,
  state      TEXT NOT NULL,    -- copying: ledger_recent holds the same ids, and counts; clearing: this run counts; done
  last_id    INTEGER NOT NULL, -- of its ids in ledger_recent
  parts      INTEGER NOT NULL, -- of its filter: ranges of keys of the same length
  part_bytes INTEGER NOT NULL,
  oldest_at  INTEGER           -- no id was last seen before; NULL: none is copied yet
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

-- Bloom filters: which ids a run surely does not hold.
CREATE TABLE ledger_filters (
  id   INTEGER PRIMARY KEY, -- run * 65536 + part
  bits BLOB NOT NULL
);
