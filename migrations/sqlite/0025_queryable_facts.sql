-- How long a job has worked, for its rate. Time in which the gateway did not run does not count.
ALTER TABLE jobs ADD COLUMN stepped_at INTEGER; -- the last step
ALTER TABLE jobs ADD COLUMN busy_ms INTEGER NOT NULL DEFAULT 0;

-- What a verdict was based on, where nothing else keeps it: later webhooks overwrite what is remembered of a chat, an object or
-- a fingerprint. Only items that are judged by one of these rows of the decision table have a row here: never a new message.
CREATE TABLE evidence (
  webhook_id         INTEGER NOT NULL,
  position           INTEGER NOT NULL,
  recorded_at        INTEGER, -- rows 1, 4, 6, 13, 15: when the same bytes were recorded before
  newest_sent_at     INTEGER, -- row 9: the newest message of the chat, Unix seconds
  newest_received_at INTEGER,
  sent_at            INTEGER, -- row 9: the message itself, Unix seconds
  late_after_seconds INTEGER, -- row 9: the channel's setting at that time
  PRIMARY KEY (webhook_id, position)
) WITHOUT ROWID;
