-- What the gateway has set up at Whapi for a channel, to be undone when it is disconnected.
CREATE TABLE connections (
  channel      TEXT PRIMARY KEY,
  webhook_url  TEXT NOT NULL,
  set_persist  INTEGER NOT NULL, -- callback_persist was off before
  connected_at INTEGER NOT NULL
) WITHOUT ROWID;
