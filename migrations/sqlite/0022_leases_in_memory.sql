-- Leases live in memory now: what the previous version had leased is due at once. The column stays, without use: removing it
-- would write every row anew.
UPDATE deliveries SET lease = NULL, due_at = created_at WHERE lease IS NOT NULL;
DROP INDEX deliveries_leased;
