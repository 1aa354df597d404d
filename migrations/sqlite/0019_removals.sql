-- Targets and channels that were removed while they had work under way, until a job has ended it in small steps.
CREATE TABLE removals (
  number  INTEGER PRIMARY KEY,
  target  INTEGER UNIQUE, -- the number of a target, or
  channel TEXT UNIQUE     -- the name of a channel
);

-- What is in progress for a channel. Few rows change: Whapi is called once in some seconds.
CREATE INDEX resync_messages_in_progress ON resync_messages (channel) WHERE status IN ('queued', 'requesting', 'waiting');

-- What a process that has ended left behind. The indexes hold only what is in flight.
CREATE INDEX deliveries_leased ON deliveries (lease) WHERE lease IS NOT NULL;
CREATE INDEX resyncs_incomplete ON resyncs (number) WHERE complete = 0;

-- The greatest place that a retry has given to a delivery. Looking for it in the lanes at each start read all of them.
INSERT INTO meta (key, value) SELECT 'greatest_seq', coalesce(max(seq), 0) FROM lanes;
