-- The greatest id of a webhook at a few times: what is not greater is at least as old. Ids alone do not tell it after the
-- clock was ahead.
CREATE TABLE id_marks (
  set_at      INTEGER PRIMARY KEY,
  greatest_id INTEGER NOT NULL
);
