-- How a target is sent a webhook of several items: 'none' (as one body), 'chat' or 'item' (one body for each).
ALTER TABLE targets ADD COLUMN split TEXT NOT NULL DEFAULT 'none';
