ALTER TABLE targets ADD COLUMN retry_delays_seconds TEXT; -- JSON; NULL: the gateway's own schedule
ALTER TABLE targets ADD COLUMN disabled_reason TEXT;      -- why the gateway switched it off; NULL: it did not

-- First attempts and retries are claimed apart, so that neither waits behind the other. Each delivery is in one of the two.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due_first ON deliveries (target, due_at, id) WHERE status = 'pending' AND blocked = 0 AND tries = 0;
CREATE INDEX deliveries_due_again ON deliveries (target, due_at, id) WHERE status = 'pending' AND blocked = 0 AND tries > 0;

-- Circuit breakers that are open, or closed and still recovering. A target without a row is well.
CREATE TABLE breakers (
  target               INTEGER PRIMARY KEY,
  state                TEXT NOT NULL,
  consecutive_failures INTEGER NOT NULL,
  times_opened         INTEGER NOT NULL, -- since it was last well
  opened_at            INTEGER,
  next_probe_at        INTEGER
);
