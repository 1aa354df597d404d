-- A chat had one lane for all events; now it has one for each kind (I6). What waits from then moves to the lanes of its
-- kind, in its order: else what comes now would overtake it, and a receipt from then would go on holding up messages.
-- Messages keep theirs. lanes_of() is the program's: src/ledger/sqlite/migration-functions.ts.
UPDATE deliveries SET chats = lanes_of(w.channel, w.method, w.suffix, w.body, deliveries.positions, deliveries.chats)
  FROM webhooks w
  WHERE w.id = deliveries.webhook_id AND deliveries.status = 'pending' AND w.event NOT GLOB 'messages.*';

DELETE FROM lanes;
INSERT INTO lanes (target, chat, seq, delivery_id)
  WITH RECURSIVE piece (target, chats, seq, id, at) AS (
    SELECT target, chats, seq, id, 1 FROM deliveries WHERE status = 'pending' AND length(chats) > 0
    UNION ALL
    SELECT target, chats, seq, id, at + 16 FROM piece WHERE at + 16 < length(chats)
  )
  SELECT target, substr(chats, at, 16), seq, id FROM piece;

UPDATE deliveries SET blocked = lane.behind FROM (
    SELECT delivery_id, sum(is_behind) AS behind FROM (
      SELECT delivery_id, seq > min(seq) OVER (PARTITION BY target, chat) AS is_behind FROM lanes
    ) GROUP BY delivery_id
  ) lane WHERE lane.delivery_id = deliveries.id;
