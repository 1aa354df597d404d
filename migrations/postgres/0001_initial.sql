-- Times are Unix milliseconds (bigint), times of messages Unix seconds (double precision: Whapi's may have a fraction).
-- Keys are the first 16 bytes of SHA-256, stored as uuid: 16 bytes without a length (store/rules/keys.ts).
-- Row ids are day * 2^38 + number modulo 2^38, so that a day is a range of ids, and a partition.

CREATE SEQUENCE gateway.blocks; -- each value is a block of 1,024 numbers; not cached: with a cache, sessions would not get growing values
-- Starts at a random place: a new database must not repeat the ids of an earlier one, which bots have seen as `webhook-id`.
SELECT setval('gateway.blocks', 1 + floor(random() * (2 ^ 28 - 2))::bigint);

CREATE TABLE gateway.meta (
  key   text PRIMARY KEY,
  value text NOT NULL
);

-- Gateway processes that share this database. A replica that was not seen for 15 seconds is gone.
CREATE TABLE gateway.replicas (
  id         text PRIMARY KEY,
  started_at bigint NOT NULL,
  seen_at    bigint NOT NULL
);

-- Background work that one replica does at a time: the sweep.
CREATE TABLE gateway.leases (
  name   text PRIMARY KEY,
  holder text NOT NULL,
  until  bigint NOT NULL,
  state  text -- JSON: its progress
);

-- Whose turn it is to call Whapi for a channel.
CREATE TABLE gateway.channel_turns (
  channel  text PRIMARY KEY,
  holder   text NOT NULL,
  token    bigint NOT NULL, -- of the turn; grows with each
  until    bigint NOT NULL, -- 0: it was given back
  ended_at bigint           -- of the last turn that started the spacing
);

CREATE TABLE gateway.channels (
  name                 text PRIMARY KEY,
  channel_id           text,
  whapi_token          text NOT NULL, -- encrypted
  webhook_secret       text NOT NULL, -- encrypted
  whapi_base_url       text NOT NULL,
  late_after_seconds   double precision NOT NULL,
  created_at           bigint NOT NULL,
  auto_resync          boolean NOT NULL,
  resync_spacing_ms    double precision,
  daily_call_budget    double precision,
  on_replay            text NOT NULL,
  replay_after_seconds double precision NOT NULL,
  replay_messages      integer NOT NULL
);

CREATE TABLE gateway.connections (
  channel      text PRIMARY KEY,
  webhook_url  text NOT NULL,
  set_persist  boolean NOT NULL, -- callback_persist was off before
  connected_at bigint NOT NULL
);

CREATE TABLE gateway.targets (
  number                  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given twice: deliveries outlive their target
  id                      text NOT NULL UNIQUE,
  name                    text NOT NULL,
  url                     text NOT NULL,
  channels                text NOT NULL, -- JSON
  events                  text NOT NULL, -- JSON
  deliver                 text NOT NULL, -- JSON
  mode                    text NOT NULL,
  split                   text NOT NULL,
  headers                 text NOT NULL, -- encrypted JSON
  secret                  text NOT NULL, -- encrypted
  previous_secrets        text NOT NULL, -- JSON of encrypted secrets
  timeout_ms              double precision NOT NULL,
  max_attempts            integer NOT NULL,
  retry_delays_seconds    text, -- JSON
  max_age_seconds         double precision,
  concurrency             integer NOT NULL,
  rate_per_second         double precision,
  backlog_policy          text NOT NULL,
  backlog_after_seconds   double precision NOT NULL,
  backlog_rate_per_minute double precision,
  skip_answered           boolean NOT NULL,
  enabled                 boolean NOT NULL,
  disabled_reason         text,
  created_at              bigint NOT NULL,
  removed_at              bigint
);

CREATE TABLE gateway.removals (
  number  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target  integer UNIQUE, -- the number of a target, or
  channel text UNIQUE     -- the name of a channel
);

CREATE TABLE gateway.breakers (
  target               integer PRIMARY KEY,
  version              bigint NOT NULL,
  state                text NOT NULL,
  consecutive_failures integer NOT NULL,
  times_opened         integer NOT NULL, -- since it was last healthy
  opened_at            bigint,
  next_probe_at        bigint,
  probe_until          bigint -- while half open: when the lease of the probe ends
);

CREATE TABLE gateway.channel_calls (
  channel       text PRIMARY KEY,
  day           integer NOT NULL, -- days since the Unix epoch, UTC
  calls         integer NOT NULL, -- on that day
  last_call_at  bigint NOT NULL,
  healthy_at    bigint,           -- when Whapi last said that the channel can resync
  failures      integer NOT NULL, -- in a row
  paused_since  bigint,           -- NULL: no failure since the last call that was answered
  pause_code    text,             -- NULL: calls are made
  pause_reason  text,
  next_check_at bigint
);

-- Reasons to check a channel's health before its next call.
CREATE TABLE gateway.channel_news (
  channel  text NOT NULL,
  news     text NOT NULL,
  noted_at bigint NOT NULL,
  PRIMARY KEY (channel, news)
);

CREATE TABLE gateway.channel_webhooks (
  channel      text PRIMARY KEY,
  last_at      bigint,  -- of the accepted ones; written at most every few seconds
  refused_day  integer, -- days since the Unix epoch, UTC
  refused      integer NOT NULL DEFAULT 0, -- on that day
  refused_at   bigint,
  refused_code text
);

CREATE TABLE gateway.webhooks (
  id           bigint PRIMARY KEY,
  received_at  bigint NOT NULL,
  channel      text NOT NULL,
  method       text NOT NULL,
  suffix       text NOT NULL,
  content_type text,
  event        text NOT NULL,
  audit        text, -- the release of this audit recorded it; NULL: Whapi sent it
  via          text, -- the gateways through which it came; NULL: none
  body         bytea NOT NULL
) PARTITION BY RANGE (id);
-- Finds what was recorded in one millisecond, because ids show only the day. Times grow, so entries are appended to the last page.
-- (A BRIN index is smaller, but each lookup reads all of it.)
CREATE INDEX webhooks_by_time ON gateway.webhooks (received_at);
ALTER TABLE gateway.webhooks ALTER COLUMN body SET STORAGE EXTERNAL; -- compressing costs more than it saves

CREATE TABLE gateway.sightings (
  webhook_id  bigint NOT NULL,
  position    integer NOT NULL,
  rule        smallint NOT NULL,
  held        boolean NOT NULL,
  placeholder boolean NOT NULL,
  carrier     text NOT NULL,
  message_key uuid,
  message_id  text,
  verdict     text NOT NULL,
  PRIMARY KEY (webhook_id, position)
) PARTITION BY RANGE (webhook_id);
-- Usual messages (rule 10) are found by the ledger, which has their place.
CREATE INDEX sightings_by_message ON gateway.sightings (message_key, webhook_id, position) WHERE message_key IS NOT NULL AND rule <> 10;
CREATE INDEX sightings_by_rare_verdict ON gateway.sightings (verdict, webhook_id) WHERE verdict <> 'new' AND verdict <> 'event';
CREATE INDEX sightings_held ON gateway.sightings (webhook_id, position) WHERE held;
CREATE INDEX sightings_held_messages ON gateway.sightings (message_key) WHERE held AND carrier = 'messages';

-- What a verdict was based on, if later webhooks overwrite that.
CREATE TABLE gateway.evidence (
  webhook_id           bigint NOT NULL,
  position             integer NOT NULL,
  recorded_at          bigint,
  newest_sent_at       double precision,
  newest_received_at   bigint,
  sent_at              double precision,
  late_after_seconds   double precision,
  same_as              text,
  replay_began_at      bigint,
  replay_after_seconds double precision,
  PRIMARY KEY (webhook_id, position)
) PARTITION BY RANGE (webhook_id);

-- Pending deliveries. A claim changes no indexed column, so that its row stays on its page (HOT).
CREATE TABLE gateway.queue (
  id                bigint PRIMARY KEY,
  webhook_id        bigint NOT NULL,
  seq               bigint NOT NULL,            -- its place in its lanes; a manual retry gets a new one
  due_at            bigint NOT NULL,            -- or its rank: store/rules/pace.ts
  created_at        bigint NOT NULL,
  leased_until      bigint NOT NULL DEFAULT 0,  -- I5
  lease             bigint,                     -- the token of the lease
  resume_at         bigint,
  newest_message_at double precision,
  target            integer NOT NULL,
  blocked           integer NOT NULL,           -- lanes in which an earlier delivery is not settled; claimable at 0 (I6)
  attempts          integer NOT NULL,           -- all that were ever made
  tries             integer NOT NULL,           -- attempts since it was recorded or last retried manually
  asked             boolean NOT NULL DEFAULT false, -- a manual retry was requested while it was leased
  released          boolean NOT NULL DEFAULT false, -- a manual release made it
  channel           text NOT NULL,
  lanes             uuid[] NOT NULL,
  verdicts          text NOT NULL,              -- comma list, one per item sent
  positions         integer[],                  -- which items of the webhook; NULL: all of them
  streak            text,                       -- JSON
  last_error        text,
  log               text NOT NULL DEFAULT '[]', -- JSON: the newest attempts
  body              bytea                       -- what is left of the webhook's body; NULL: the very bytes that came
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_due_first ON gateway.queue (target, due_at, id) WHERE blocked = 0 AND tries = 0;
CREATE INDEX queue_due_again ON gateway.queue (target, due_at, id) WHERE blocked = 0 AND tries > 0;
CREATE INDEX queue_by_webhook ON gateway.queue (webhook_id);
CREATE INDEX queue_by_target ON gateway.queue (target, id);

-- Settled deliveries.
CREATE TABLE gateway.history (
  id                bigint PRIMARY KEY,
  webhook_id        bigint NOT NULL,
  created_at        bigint NOT NULL,
  settled_at        bigint NOT NULL,
  newest_message_at double precision,
  target            integer NOT NULL,
  attempts          integer NOT NULL,
  tries             integer NOT NULL,
  released          boolean NOT NULL,
  status            text NOT NULL,
  cause             text,
  channel           text NOT NULL,
  lanes             uuid[] NOT NULL,
  verdicts          text NOT NULL,
  positions         integer[],
  last_error        text,
  log               text NOT NULL,
  body              bytea
) PARTITION BY RANGE (id);
CREATE INDEX history_by_webhook ON gateway.history (webhook_id);
CREATE INDEX history_by_rare_status ON gateway.history (status, id) WHERE status <> 'delivered';
CREATE INDEX history_dead ON gateway.history (target, settled_at) WHERE status = 'dead';

-- All deliveries, for reading.
CREATE VIEW gateway.deliveries AS
  SELECT id, webhook_id, target, channel, 'pending'::text AS status, NULL::text AS cause, seq, lanes, blocked, due_at, lease, leased_until,
    resume_at, asked, attempts, tries, verdicts, positions, newest_message_at, created_at, NULL::bigint AS settled_at, released, last_error,
    log, streak, body FROM gateway.queue
  UNION ALL
  SELECT id, webhook_id, target, channel, status, cause, NULL, lanes, 0, NULL, NULL, 0,
    NULL, false, attempts, tries, verdicts, positions, newest_message_at, created_at, settled_at, released, last_error,
    log, NULL, body FROM gateway.history;

CREATE TABLE gateway.lanes (
  target      integer NOT NULL,
  lane        uuid NOT NULL,
  seq         bigint NOT NULL,
  delivery_id bigint NOT NULL,
  PRIMARY KEY (target, lane, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE gateway.ledger (
  key           uuid PRIMARY KEY,
  fingerprint   uuid,   -- of the bytes first recorded under this id
  first_seen_at bigint, -- NULL: Whapi was asked for it, or listed it, and it never came
  last_seen_at  bigint NOT NULL,
  webhook_id    bigint, -- of the first sighting; may be pruned
  seeded_at     bigint,
  position      integer,
  rule          smallint,
  unposted      boolean NOT NULL
);

CREATE TABLE gateway.fingerprints (
  key         uuid PRIMARY KEY,
  recorded_at bigint NOT NULL
);

CREATE TABLE gateway.objects (
  key         uuid PRIMARY KEY,
  recorded_at bigint NOT NULL, -- when they first came
  last        bytea NOT NULL   -- the 16-byte fingerprints of its items in the newest webhook, in order
);

CREATE TABLE gateway.chats (
  key         uuid PRIMARY KEY,
  newest_at   double precision NOT NULL, -- by the message itself
  received_at bigint NOT NULL,
  own_at      double precision           -- the newest one that the number itself wrote
) WITH (fillfactor = 70);

CREATE TABLE gateway.content_fingerprints (
  key         uuid NOT NULL,             -- of type, from_me, time, content and chat or sender; or the key of another message id
  message_key uuid NOT NULL,             -- of the registered id
  sent_at     double precision NOT NULL, -- by the message itself
  came_as     uuid,                      -- the key of the id under which it came; NULL: it has not come
  PRIMARY KEY (key, message_key)
);
CREATE INDEX content_fingerprints_by_message ON gateway.content_fingerprints (message_key);
CREATE INDEX content_fingerprints_by_time ON gateway.content_fingerprints (sent_at);

CREATE TABLE gateway.replays (
  channel        text PRIMARY KEY,
  began_at       bigint NOT NULL, -- when the first of its messages came
  last_at        bigint NOT NULL,
  messages       integer NOT NULL,
  held           integer NOT NULL,         -- of them, judged by rule 19
  oldest_sent_at double precision NOT NULL
);

-- Old messages that came within the last minute and belong to no replay yet.
CREATE TABLE gateway.replay_arrivals (
  channel text NOT NULL,
  key     uuid NOT NULL,
  at      bigint NOT NULL,
  sent_at double precision NOT NULL,
  PRIMARY KEY (channel, key)
);

CREATE TABLE gateway.resyncs (
  number          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id              text NOT NULL UNIQUE,
  channel         text NOT NULL,
  deliver_unseen  boolean NOT NULL,
  window_seconds  double precision NOT NULL,
  idempotency_key text UNIQUE,
  fingerprint     text,
  created_at      bigint NOT NULL,
  cancelled_at    bigint,
  complete        boolean NOT NULL DEFAULT true,
  owned_until     bigint,  -- while incomplete: dropped after this, because its replica has stopped
  last_asked_at   bigint,
  call_ms         double precision
);
CREATE INDEX resyncs_incomplete ON gateway.resyncs (owned_until) WHERE NOT complete;

CREATE TABLE gateway.resync_messages (
  resync         integer NOT NULL,
  position       integer NOT NULL,
  message_id     text NOT NULL,
  key            uuid NOT NULL,
  channel        text NOT NULL,
  status         text NOT NULL,
  asked_at       bigint,           -- the last call with resync=true
  calls          integer NOT NULL,
  polls          integer NOT NULL,
  refused        boolean NOT NULL, -- Whapi refused the last call
  closes_at      bigint,           -- NULL: the window is open without an end, for nothing was asked yet
  closed         boolean NOT NULL,
  next_at        bigint,           -- the next call to Whapi
  restored_at    bigint,
  settled_at     bigint,
  window_seconds double precision,
  known          boolean NOT NULL DEFAULT false,
  proof          text,
  error          text,
  PRIMARY KEY (resync, position)
);
CREATE INDEX resync_messages_by_key ON gateway.resync_messages (key);
CREATE INDEX resync_messages_by_status ON gateway.resync_messages (resync, status);
-- Finds the next due message without sorting, although thousands may be due at one time.
CREATE INDEX resync_messages_due ON gateway.resync_messages (channel, status, next_at, resync, position) WHERE next_at IS NOT NULL;
CREATE INDEX resync_messages_in_progress ON gateway.resync_messages (channel) WHERE status IN ('queued', 'requesting', 'waiting');
CREATE INDEX resync_messages_open ON gateway.resync_messages (closes_at) WHERE NOT closed;
CREATE INDEX resync_messages_settled ON gateway.resync_messages (resync, settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE gateway.audits (
  number       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id           text NOT NULL UNIQUE,
  kind         text NOT NULL,
  channel      text NOT NULL,
  since        bigint NOT NULL, -- Unix seconds, included
  until        bigint NOT NULL, -- Unix seconds, included
  memory_since bigint NOT NULL,
  status       text NOT NULL,
  walk         text,            -- JSON: the progress of reading; NULL: not begun
  listed       integer NOT NULL DEFAULT 0,
  seen         integer NOT NULL DEFAULT 0,
  missing      integer NOT NULL DEFAULT 0,
  older        integer NOT NULL DEFAULT 0, -- than the gateway's memory
  seeded       integer NOT NULL DEFAULT 0,
  released     integer NOT NULL DEFAULT 0,
  created_at   bigint NOT NULL,
  ended_at     bigint,
  error        text,
  holder       text,            -- the replica that runs it
  lease        bigint,          -- the token of its lease; grows with each holder
  leased_until bigint NOT NULL DEFAULT 0
);
CREATE INDEX audits_running ON gateway.audits (channel, number) WHERE status = 'running';

CREATE TABLE gateway.audit_messages (
  number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  audit       integer NOT NULL,
  round       integer NOT NULL, -- in which it was found; what an earlier round alone found no longer counts
  key         uuid NOT NULL,
  message_id  text NOT NULL,
  type        text,
  chat_id     text,
  sent_at     double precision NOT NULL, -- Unix seconds
  json        bytea NOT NULL,            -- the element of Whapi's list, byte for byte
  found_at    bigint NOT NULL,
  released_at bigint
);
CREATE UNIQUE INDEX audit_messages_by_key ON gateway.audit_messages (key, audit);
CREATE INDEX audit_messages_in_order ON gateway.audit_messages (audit, sent_at, number);

CREATE TABLE gateway.jobs (
  number      bigint PRIMARY KEY, -- from the same blocks as the ids of webhooks and deliveries
  kind        text NOT NULL,
  filter      text NOT NULL, -- JSON
  status      text NOT NULL,
  total       integer NOT NULL,
  done        integer NOT NULL,
  skipped     integer NOT NULL,
  cursor      text NOT NULL, -- JSON: the numbers behind which the next step begins
  created_at  bigint NOT NULL,
  finished_at bigint,
  stepped_at  bigint,
  busy_ms     double precision NOT NULL DEFAULT 0
);
CREATE INDEX jobs_running ON gateway.jobs (number) WHERE status = 'running';

CREATE TABLE gateway.probes (
  channel     text PRIMARY KEY,
  message_id  text, -- NULL: pruned
  started_at  bigint NOT NULL,
  finished_at bigint, -- NULL: it is running
  facts       text NOT NULL -- what was seen, as JSON without personal data
);

CREATE TABLE gateway.claims (
  key        uuid PRIMARY KEY, -- of the message id (store/rules/keys.ts)
  channel    text NOT NULL,
  owner      text NOT NULL,
  claimed_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX claims_by_end ON gateway.claims (expires_at);
CREATE INDEX claims_by_channel ON gateway.claims (channel);

CREATE TABLE gateway.rollups (
  step_ms bigint NOT NULL,
  subject text NOT NULL,   -- a channel, a target, or all of them: see src/metrics.ts
  start   bigint NOT NULL, -- Unix milliseconds, a multiple of step_ms
  figures text NOT NULL,   -- JSON: numbers by name
  PRIMARY KEY (step_ms, subject, start)
);

-- Makes the partitions of one day. Attached instead of created in place: that does not lock the parent against readers.
CREATE FUNCTION gateway.make_day(day integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  part text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['webhooks', 'sightings', 'evidence', 'history'] LOOP
    part := parent || '_' || day;
    IF to_regclass('gateway.' || part) IS NULL THEN
      EXECUTE format('CREATE TABLE gateway.%I (LIKE gateway.%I INCLUDING ALL)', part, parent);
      EXECUTE format('ALTER TABLE gateway.%I ATTACH PARTITION gateway.%I FOR VALUES FROM (%s) TO (%s)',
        parent, part, day::bigint << 38, (day + 1)::bigint << 38);
    END IF;
  END LOOP;
END $$;
