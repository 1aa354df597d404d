-- What tells a message that Whapi has found again under a registered id, should it come as a webhook under another id (row 18
-- of the decision table). Rows live as long as the window of the registration.
CREATE TABLE content_fingerprints (
  key         BLOB NOT NULL,    -- the hash of type, from_me, time, content and chat or sender; or the key of another message id
  message_key BLOB NOT NULL,    -- of the registered id
  sent_at     INTEGER NOT NULL, -- Unix seconds, by the message itself
  came_as     BLOB,             -- the key of the id under which it came; NULL: it has not come
  PRIMARY KEY (key, message_key)
) WITHOUT ROWID;

CREATE INDEX content_fingerprints_by_message ON content_fingerprints (message_key);

CREATE INDEX content_fingerprints_by_time ON content_fingerprints (sent_at);

-- Many unrequested old messages within a minute: from which age, how many, and what becomes of them (row 19).
ALTER TABLE channels ADD COLUMN on_replay TEXT NOT NULL DEFAULT 'deliver';
ALTER TABLE channels ADD COLUMN replay_after_seconds INTEGER NOT NULL DEFAULT 432000;
ALTER TABLE channels ADD COLUMN replay_messages INTEGER NOT NULL DEFAULT 20;

-- The last replay of each channel.
CREATE TABLE replays (
  channel        TEXT PRIMARY KEY,
  began_at       INTEGER NOT NULL, -- when the first of its messages came
  last_at        INTEGER NOT NULL,
  messages       INTEGER NOT NULL,
  held           INTEGER NOT NULL, -- of them, judged by row 19
  oldest_sent_at INTEGER NOT NULL  -- Unix seconds
) WITHOUT ROWID;

ALTER TABLE evidence ADD COLUMN same_as TEXT;                 -- row 18: the registered id
ALTER TABLE evidence ADD COLUMN replay_began_at INTEGER;      -- row 19
ALTER TABLE evidence ADD COLUMN replay_after_seconds INTEGER; -- row 19: the channel's setting at that time
