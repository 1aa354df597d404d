-- What an operator sees of a target and a channel, kept in the transaction that changes it, so that no look counts rows.

-- Pending deliveries, by target.
CREATE TABLE target_counts (
  target  INTEGER PRIMARY KEY,
  pending INTEGER NOT NULL
);

-- Deliveries that ended as dead and still are, by the hour in which they did. Only the newest 26 hours of a target are kept.
CREATE TABLE dead_counts (
  target INTEGER NOT NULL,
  hour   INTEGER NOT NULL, -- since the Unix epoch
  cause  TEXT NOT NULL,    -- 'no_handler', or '' for all others
  event  TEXT NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (target, hour, cause, event)
) WITHOUT ROWID;

ALTER TABLE deliveries ADD COLUMN cause TEXT; -- of a dead one: 'no_handler' where the target does not take such events

-- One index on both costs as many writes for each delivery as these two: a delivery is in one of them or in none. The first
-- gives the oldest pending delivery of a target.
DROP INDEX deliveries_by_rare_status;
CREATE INDEX deliveries_pending ON deliveries (target, id) WHERE status = 'pending';
CREATE INDEX deliveries_by_rare_status ON deliveries (status, id) WHERE status <> 'delivered' AND status <> 'pending';

INSERT INTO target_counts (target, pending)
  SELECT target, count(*) FROM deliveries WHERE status = 'pending' GROUP BY target;
INSERT INTO dead_counts (target, hour, cause, event, count)
  SELECT d.target, d.settled_at / 3600000, '', w.event, count(*)
  FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN targets t ON t.number = d.target
  WHERE d.status = 'dead' AND d.status <> 'delivered' AND d.status <> 'pending' AND t.removed_at IS NULL
    AND d.settled_at >= (CAST(strftime('%s', 'now') AS INTEGER) - 93600) * 1000
  GROUP BY 1, 2, 4;

-- Webhooks of a channel, accepted and refused.
CREATE TABLE channel_webhooks (
  channel      TEXT PRIMARY KEY,
  last_at      INTEGER, -- of the accepted ones; written at most every few seconds
  refused_day  INTEGER, -- days since the Unix epoch, UTC
  refused      INTEGER NOT NULL DEFAULT 0, -- on that day
  refused_at   INTEGER,
  refused_code TEXT
) WITHOUT ROWID;

INSERT INTO channel_webhooks (channel, last_at)
  SELECT c.name, max(w.received_at)
  FROM channels c JOIN (SELECT channel, received_at FROM webhooks ORDER BY id DESC LIMIT 10000) w ON w.channel = c.name
  GROUP BY c.name;
