-- Leases live in memory now: what the previous version had leased is due at once. The column stays, without use: removing it
-- would write every row anew.
UPDATE deliveries SET lease = NULL, due_at = created_at WHERE lease IS NOT NULL;
DROP INDEX deliveries_leased;

-- A delivery that was leased as it was recorded is in flight with `blocked` = -1, and only in a small index of its own.
DROP INDEX deliveries_pending;
CREATE INDEX deliveries_pending ON deliveries (target, id) WHERE status = 'pending' AND blocked >= 0;
CREATE INDEX deliveries_in_flight ON deliveries (target, id) WHERE status = 'pending' AND blocked < 0;

-- The deliveries that were recorded with a webhook follow it in the order of ids. Only those that a release made are looked up.
-- Releases before migration 11 do not say that they are: another webhook's delivery is between them and their webhook.
UPDATE deliveries SET released = 1 WHERE released = 0 AND id IN (
  SELECT id FROM (
    SELECT id, sum(is_cut) OVER (PARTITION BY webhook_id ORDER BY id) AS cuts FROM (
      SELECT id, webhook_id,
        lag(webhook_id) OVER (ORDER BY id) IS NOT webhook_id AND lag(id) OVER (ORDER BY id) > webhook_id AS is_cut
      FROM deliveries))
  WHERE cuts > 0);
DROP INDEX deliveries_by_webhook;
CREATE INDEX deliveries_released ON deliveries (webhook_id) WHERE released = 1;
