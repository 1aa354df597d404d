-- What a target does with messages that come late, and how fast a backlog of them is sent.
ALTER TABLE targets ADD COLUMN backlog_policy TEXT NOT NULL DEFAULT 'all';
ALTER TABLE targets ADD COLUMN backlog_after_seconds INTEGER NOT NULL DEFAULT 600;
ALTER TABLE targets ADD COLUMN backlog_rate_per_minute REAL;
ALTER TABLE targets ADD COLUMN skip_answered INTEGER NOT NULL DEFAULT 0;

-- The newest message of the chat that the channel's own number sent, Unix seconds by the message itself.
ALTER TABLE chats ADD COLUMN own_at INTEGER;
