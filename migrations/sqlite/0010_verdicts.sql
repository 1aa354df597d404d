-- Only puts have carried the message so far (rule 17).
ALTER TABLE ledger ADD COLUMN unposted INTEGER NOT NULL DEFAULT 0;

-- What was recorded last about a group, a chat, a contact, a message … (rule 13).
CREATE TABLE objects (
  key         BLOB PRIMARY KEY,
  last        BLOB NOT NULL,    -- the 16-byte fingerprints of what the newest webhook told of it, in order
  recorded_at INTEGER NOT NULL  -- when they first came
) WITHOUT ROWID;

-- From here on traces are only of messages: votes, positions, revisions, placeholders.
DELETE FROM traces WHERE lasting = 0;
ALTER TABLE traces DROP COLUMN lasting;
