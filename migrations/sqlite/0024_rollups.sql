-- Counts over time: one row for each step in which something was counted for a subject.
CREATE TABLE rollups (
  step_ms INTEGER NOT NULL,
  subject TEXT NOT NULL,    -- a channel, a target, or all of them: see src/metrics.ts
  start   INTEGER NOT NULL, -- Unix milliseconds, a multiple of step_ms
  figures TEXT NOT NULL,    -- JSON: numbers by name
  PRIMARY KEY (step_ms, subject, start)
) WITHOUT ROWID;
