-- Which state of a target's circuit breaker a change was made from, and until when its probe is leased. The row of a target
-- that is well again stays (state 'healthy'), so that versions only grow.
ALTER TABLE breakers ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE breakers ADD COLUMN probe_until INTEGER; -- NULL: no probe is under way
