-- Leases live in memory now: what the previous version had leased is due at once. The column stays, without use: removing it
-- would write every row anew.
UPDATE deliveries SET lease = NULL, due_at = created_at WHERE lease IS NOT NULL;
DROP INDEX deliveries_leased;

-- A delivery that was leased as it was recorded is in flight with `blocked` = -1, and only in a small index of its own.
DROP INDEX deliveries_pending;
CREATE INDEX deliveries_pending ON deliveries (target, id) WHERE status = 'pending' AND blocked >= 0;
CREATE INDEX deliveries_in_flight ON deliveries (target, id) WHERE status = 'pending' AND blocked < 0;
