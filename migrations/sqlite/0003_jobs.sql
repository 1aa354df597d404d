-- A retry of a pending delivery is an attempt beside the schedule, from which it takes nothing.
ALTER TABLE deliveries ADD COLUMN resume_at INTEGER; -- the next attempt is a person's, and the schedule goes on then; NULL: it is the schedule's
ALTER TABLE deliveries ADD COLUMN asked INTEGER NOT NULL DEFAULT 0; -- 1: a person asked while an attempt was under way

-- What is pending, dead or expired is found behind any number of delivered ones.
DROP INDEX deliveries_failed;
CREATE INDEX deliveries_by_rare_status ON deliveries (status, id) WHERE status <> 'delivered';

-- Bulk work, done in small steps.
CREATE TABLE jobs (
  number      INTEGER PRIMARY KEY, -- grows with time, together with the ids of webhooks and deliveries
  kind        TEXT NOT NULL,
  filter      TEXT NOT NULL, -- JSON
  status      TEXT NOT NULL,
  total       INTEGER NOT NULL,
  done        INTEGER NOT NULL,
  skipped     INTEGER NOT NULL,
  cursor      TEXT NOT NULL, -- JSON: the numbers behind which the next step begins
  created_at  INTEGER NOT NULL,
  finished_at INTEGER
);

CREATE INDEX jobs_running ON jobs (number) WHERE status = 'running';
