CREATE SEQUENCE gateway.blocks;

CREATE TABLE gateway.audit_messages (
  number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  audit integer NOT NULL,
  round integer NOT NULL,
  key uuid NOT NULL,
  message_id text NOT NULL,
  type text,
  chat_id text,
  sent_at double precision NOT NULL,
  "json" bytea NOT NULL,
  found_at bigint NOT NULL,
  released_at bigint,
  CONSTRAINT audit_messages_pkey PRIMARY KEY (number)
);

CREATE INDEX audit_messages_in_order ON gateway.audit_messages USING btree (audit, sent_at, number);

CREATE UNIQUE INDEX audit_messages_by_key ON gateway.audit_messages USING btree (key, audit);

CREATE TABLE gateway.audits (
  number integer NOT NULL GENERATED ALWAYS AS IDENTITY,
  id text NOT NULL,
  kind text NOT NULL,
  channel text NOT NULL,
  since bigint NOT NULL,
  until bigint NOT NULL,
  memory_since bigint NOT NULL,
  status text NOT NULL,
  walk text,
  listed integer NOT NULL DEFAULT 0,
  seen integer NOT NULL DEFAULT 0,
  missing integer NOT NULL DEFAULT 0,
  older integer NOT NULL DEFAULT 0,
  seeded integer NOT NULL DEFAULT 0,
  released integer NOT NULL DEFAULT 0,
  created_at bigint NOT NULL,
  ended_at bigint,
  error text,
  holder text,
  lease bigint,
  leased_until bigint NOT NULL DEFAULT 0,
  CONSTRAINT audits_id_key UNIQUE (id),
  CONSTRAINT audits_pkey PRIMARY KEY (number)
);

CREATE INDEX audits_running ON gateway.audits USING btree (channel, number) WHERE (status = 'running'::text);

CREATE TABLE gateway.breakers (
  target integer NOT NULL,
  version bigint NOT NULL,
  state text NOT NULL,
  consecutive_failures integer NOT NULL,
  times_opened integer NOT NULL,
  opened_at bigint,
  next_probe_at bigint,
  probe_until bigint,
  CONSTRAINT breakers_pkey PRIMARY KEY (target)
);

CREATE TABLE gateway.channel_calls (
  channel text NOT NULL,
  day integer NOT NULL,
  calls integer NOT NULL,
  last_call_at bigint NOT NULL,
  healthy_at bigint,
  failures integer NOT NULL,
  paused_since bigint,
  pause_code text,
  pause_reason text,
  next_check_at bigint,
  CONSTRAINT channel_calls_pkey PRIMARY KEY (channel)
);

CREATE TABLE gateway.channel_news (
  channel text NOT NULL,
  news text NOT NULL,
  noted_at bigint NOT NULL,
  CONSTRAINT channel_news_pkey PRIMARY KEY (channel, news)
);

CREATE TABLE gateway.channel_turns (
  channel text NOT NULL,
  holder text NOT NULL,
  token bigint NOT NULL,
  until bigint NOT NULL,
  ended_at bigint,
  CONSTRAINT channel_turns_pkey PRIMARY KEY (channel)
);

CREATE TABLE gateway.channel_webhooks (
  channel text NOT NULL,
  last_at bigint,
  refused_day integer,
  refused integer NOT NULL DEFAULT 0,
  refused_at bigint,
  refused_code text,
  CONSTRAINT channel_webhooks_pkey PRIMARY KEY (channel)
);

CREATE TABLE gateway.channels (
  name text NOT NULL,
  channel_id text,
  whapi_token text NOT NULL,
  webhook_secret text NOT NULL,
  whapi_base_url text NOT NULL,
  late_after_seconds double precision NOT NULL,
  created_at bigint NOT NULL,
  auto_resync boolean NOT NULL,
  resync_spacing_ms double precision,
  daily_call_budget double precision,
  on_replay text NOT NULL,
  replay_after_seconds double precision NOT NULL,
  replay_messages integer NOT NULL,
  CONSTRAINT channels_pkey PRIMARY KEY (name)
);

CREATE TABLE gateway.chats (
  key uuid NOT NULL,
  newest_at double precision NOT NULL,
  received_at bigint NOT NULL,
  own_at double precision,
  CONSTRAINT chats_pkey PRIMARY KEY (key)
) WITH (fillfactor=70);

CREATE TABLE gateway.claims (
  key uuid NOT NULL,
  channel text NOT NULL,
  owner text NOT NULL,
  claimed_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  CONSTRAINT claims_pkey PRIMARY KEY (key)
);

CREATE INDEX claims_by_channel ON gateway.claims USING btree (channel);

CREATE INDEX claims_by_end ON gateway.claims USING btree (expires_at);

CREATE TABLE gateway.connections (
  channel text NOT NULL,
  webhook_url text NOT NULL,
  set_persist boolean NOT NULL,
  connected_at bigint NOT NULL,
  CONSTRAINT connections_pkey PRIMARY KEY (channel)
);

CREATE TABLE gateway.content_fingerprints (
  key uuid NOT NULL,
  message_key uuid NOT NULL,
  sent_at double precision NOT NULL,
  came_as uuid,
  CONSTRAINT content_fingerprints_pkey PRIMARY KEY (key, message_key)
);

CREATE INDEX content_fingerprints_by_message ON gateway.content_fingerprints USING btree (message_key);

CREATE INDEX content_fingerprints_by_time ON gateway.content_fingerprints USING btree (sent_at);

CREATE TABLE gateway.evidence (
  webhook_id bigint NOT NULL,
  "position" integer NOT NULL,
  recorded_at bigint,
  newest_sent_at double precision,
  newest_received_at bigint,
  sent_at double precision,
  late_after_seconds double precision,
  same_as text,
  replay_began_at bigint,
  replay_after_seconds double precision,
  CONSTRAINT evidence_pkey PRIMARY KEY (webhook_id, "position")
) PARTITION BY RANGE (webhook_id);

CREATE TABLE gateway.fingerprints (
  key uuid NOT NULL,
  recorded_at bigint NOT NULL,
  CONSTRAINT fingerprints_pkey PRIMARY KEY (key)
);

CREATE TABLE gateway.history (
  id bigint NOT NULL,
  webhook_id bigint NOT NULL,
  created_at bigint NOT NULL,
  settled_at bigint NOT NULL,
  newest_message_at double precision,
  target integer NOT NULL,
  attempts integer NOT NULL,
  tries integer NOT NULL,
  released boolean NOT NULL,
  status text NOT NULL,
  cause text,
  channel text NOT NULL,
  lanes uuid[] NOT NULL,
  verdicts text NOT NULL,
  positions integer[],
  last_error text,
  log text NOT NULL,
  body bytea,
  CONSTRAINT history_pkey PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX history_by_rare_status ON ONLY gateway.history USING btree (status, id) WHERE (status <> 'delivered'::text);

CREATE INDEX history_by_webhook ON ONLY gateway.history USING btree (webhook_id);

CREATE INDEX history_dead ON ONLY gateway.history USING btree (target, settled_at) WHERE (status = 'dead'::text);

CREATE TABLE gateway.jobs (
  number bigint NOT NULL,
  kind text NOT NULL,
  filter text NOT NULL,
  status text NOT NULL,
  total integer NOT NULL,
  done integer NOT NULL,
  skipped integer NOT NULL,
  cursor text NOT NULL,
  created_at bigint NOT NULL,
  finished_at bigint,
  stepped_at bigint,
  busy_ms double precision NOT NULL DEFAULT 0,
  CONSTRAINT jobs_pkey PRIMARY KEY (number)
);

CREATE INDEX jobs_running ON gateway.jobs USING btree (number) WHERE (status = 'running'::text);

CREATE TABLE gateway.lanes (
  target integer NOT NULL,
  lane uuid NOT NULL,
  seq bigint NOT NULL,
  delivery_id bigint NOT NULL,
  CONSTRAINT lanes_pkey PRIMARY KEY (target, lane, seq)
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE TABLE gateway.leases (
  name text NOT NULL,
  holder text NOT NULL,
  until bigint NOT NULL,
  state text,
  CONSTRAINT leases_pkey PRIMARY KEY (name)
);

CREATE TABLE gateway.ledger (
  key uuid NOT NULL,
  fingerprint uuid,
  first_seen_at bigint,
  last_seen_at bigint NOT NULL,
  webhook_id bigint,
  seeded_at bigint,
  "position" integer,
  rule smallint,
  unposted boolean NOT NULL,
  CONSTRAINT ledger_pkey PRIMARY KEY (key)
);

CREATE TABLE gateway.meta (
  key text NOT NULL,
  value text NOT NULL,
  CONSTRAINT meta_pkey PRIMARY KEY (key)
);

CREATE TABLE gateway.objects (
  key uuid NOT NULL,
  recorded_at bigint NOT NULL,
  last bytea NOT NULL,
  CONSTRAINT objects_pkey PRIMARY KEY (key)
);

CREATE TABLE gateway.probes (
  channel text NOT NULL,
  message_id text,
  started_at bigint NOT NULL,
  finished_at bigint,
  facts text NOT NULL,
  CONSTRAINT probes_pkey PRIMARY KEY (channel)
);

CREATE TABLE gateway.queue (
  id bigint NOT NULL,
  webhook_id bigint NOT NULL,
  seq bigint NOT NULL,
  due_at bigint NOT NULL,
  created_at bigint NOT NULL,
  leased_until bigint NOT NULL DEFAULT 0,
  lease bigint,
  resume_at bigint,
  newest_message_at double precision,
  target integer NOT NULL,
  blocked integer NOT NULL,
  attempts integer NOT NULL,
  tries integer NOT NULL,
  asked boolean NOT NULL DEFAULT false,
  released boolean NOT NULL DEFAULT false,
  channel text NOT NULL,
  lanes uuid[] NOT NULL,
  verdicts text NOT NULL,
  positions integer[],
  streak text,
  last_error text,
  log text NOT NULL DEFAULT '[]'::text,
  body bytea,
  CONSTRAINT queue_pkey PRIMARY KEY (id)
) WITH (fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE INDEX queue_by_target ON gateway.queue USING btree (target, id);

CREATE INDEX queue_by_webhook ON gateway.queue USING btree (webhook_id);

CREATE INDEX queue_due_again ON gateway.queue USING btree (target, due_at, id) WHERE ((blocked = 0) AND (tries > 0));

CREATE INDEX queue_due_first ON gateway.queue USING btree (target, due_at, id) WHERE ((blocked = 0) AND (tries = 0));

CREATE TABLE gateway.removals (
  number integer NOT NULL GENERATED ALWAYS AS IDENTITY,
  target integer,
  channel text,
  CONSTRAINT removals_channel_key UNIQUE (channel),
  CONSTRAINT removals_pkey PRIMARY KEY (number),
  CONSTRAINT removals_target_key UNIQUE (target)
);

CREATE TABLE gateway.replay_arrivals (
  channel text NOT NULL,
  key uuid NOT NULL,
  at bigint NOT NULL,
  sent_at double precision NOT NULL,
  CONSTRAINT replay_arrivals_pkey PRIMARY KEY (channel, key)
);

CREATE TABLE gateway.replays (
  channel text NOT NULL,
  began_at bigint NOT NULL,
  last_at bigint NOT NULL,
  messages integer NOT NULL,
  held integer NOT NULL,
  oldest_sent_at double precision NOT NULL,
  CONSTRAINT replays_pkey PRIMARY KEY (channel)
);

CREATE TABLE gateway.replicas (
  id text NOT NULL,
  started_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  name text,
  settings text NOT NULL DEFAULT '{}'::text,
  CONSTRAINT replicas_pkey PRIMARY KEY (id)
);

CREATE TABLE gateway.resync_messages (
  resync integer NOT NULL,
  "position" integer NOT NULL,
  message_id text NOT NULL,
  key uuid NOT NULL,
  channel text NOT NULL,
  status text NOT NULL,
  asked_at bigint,
  calls integer NOT NULL,
  polls integer NOT NULL,
  refused boolean NOT NULL,
  closes_at bigint,
  closed boolean NOT NULL,
  next_at bigint,
  restored_at bigint,
  settled_at bigint,
  window_seconds double precision,
  known boolean NOT NULL DEFAULT false,
  proof text,
  error text,
  CONSTRAINT resync_messages_pkey PRIMARY KEY (resync, "position")
);

CREATE INDEX resync_messages_by_key ON gateway.resync_messages USING btree (key);

CREATE INDEX resync_messages_by_status ON gateway.resync_messages USING btree (resync, status);

CREATE INDEX resync_messages_due ON gateway.resync_messages USING btree (channel, status, next_at, resync, "position") WHERE (next_at IS NOT NULL);

CREATE INDEX resync_messages_in_progress ON gateway.resync_messages USING btree (channel) WHERE (status = ANY (ARRAY['queued'::text, 'requesting'::text, 'waiting'::text]));

CREATE INDEX resync_messages_open ON gateway.resync_messages USING btree (closes_at) WHERE (NOT closed);

CREATE INDEX resync_messages_settled ON gateway.resync_messages USING btree (resync, settled_at) WHERE (settled_at IS NOT NULL);

CREATE TABLE gateway.resyncs (
  number integer NOT NULL GENERATED ALWAYS AS IDENTITY,
  id text NOT NULL,
  channel text NOT NULL,
  deliver_unseen boolean NOT NULL,
  window_seconds double precision NOT NULL,
  idempotency_key text,
  fingerprint text,
  created_at bigint NOT NULL,
  cancelled_at bigint,
  complete boolean NOT NULL DEFAULT true,
  owned_until bigint,
  last_asked_at bigint,
  call_ms double precision,
  CONSTRAINT resyncs_id_key UNIQUE (id),
  CONSTRAINT resyncs_idempotency_key_key UNIQUE (idempotency_key),
  CONSTRAINT resyncs_pkey PRIMARY KEY (number)
);

CREATE INDEX resyncs_incomplete ON gateway.resyncs USING btree (owned_until) WHERE (NOT complete);

CREATE TABLE gateway.rollups (
  step_ms bigint NOT NULL,
  subject text NOT NULL,
  start bigint NOT NULL,
  figures text NOT NULL,
  CONSTRAINT rollups_pkey PRIMARY KEY (step_ms, subject, start)
);

CREATE TABLE gateway.schema (
  version integer NOT NULL,
  least_program integer NOT NULL
);

CREATE TABLE gateway.sightings (
  webhook_id bigint NOT NULL,
  "position" integer NOT NULL,
  rule smallint NOT NULL,
  held boolean NOT NULL,
  placeholder boolean NOT NULL,
  carrier text NOT NULL,
  message_key uuid,
  message_id text,
  verdict text NOT NULL,
  CONSTRAINT sightings_pkey PRIMARY KEY (webhook_id, "position")
) PARTITION BY RANGE (webhook_id);

CREATE INDEX sightings_by_message ON ONLY gateway.sightings USING btree (message_key, webhook_id, "position") WHERE ((message_key IS NOT NULL) AND (rule <> 10));

CREATE INDEX sightings_by_rare_verdict ON ONLY gateway.sightings USING btree (verdict, webhook_id) WHERE ((verdict <> 'new'::text) AND (verdict <> 'event'::text));

CREATE INDEX sightings_held ON ONLY gateway.sightings USING btree (webhook_id, "position") WHERE held;

CREATE INDEX sightings_held_messages ON ONLY gateway.sightings USING btree (message_key) WHERE (held AND (carrier = 'messages'::text));

CREATE TABLE gateway.targets (
  number integer NOT NULL GENERATED ALWAYS AS IDENTITY,
  id text NOT NULL,
  name text NOT NULL,
  url text NOT NULL,
  channels text NOT NULL,
  events text NOT NULL,
  deliver text NOT NULL,
  mode text NOT NULL,
  split text NOT NULL,
  headers text NOT NULL,
  secret text NOT NULL,
  previous_secrets text NOT NULL,
  timeout_ms double precision NOT NULL,
  max_attempts integer NOT NULL,
  retry_delays_seconds text,
  max_age_seconds double precision,
  concurrency integer NOT NULL,
  rate_per_second double precision,
  backlog_policy text NOT NULL,
  backlog_after_seconds double precision NOT NULL,
  backlog_rate_per_minute double precision,
  skip_answered boolean NOT NULL,
  enabled boolean NOT NULL,
  disabled_reason text,
  created_at bigint NOT NULL,
  removed_at bigint,
  CONSTRAINT targets_id_key UNIQUE (id),
  CONSTRAINT targets_pkey PRIMARY KEY (number)
);

CREATE TABLE gateway.webhooks (
  id bigint NOT NULL,
  received_at bigint NOT NULL,
  channel text NOT NULL,
  method text NOT NULL,
  suffix text NOT NULL,
  content_type text,
  event text NOT NULL,
  audit text,
  via text,
  body bytea NOT NULL,
  CONSTRAINT webhooks_pkey PRIMARY KEY (id)
) PARTITION BY RANGE (id);

ALTER TABLE gateway.webhooks ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE INDEX webhooks_by_time ON ONLY gateway.webhooks USING btree (received_at);

CREATE VIEW gateway.deliveries AS
 SELECT queue.id,
    queue.webhook_id,
    queue.target,
    queue.channel,
    'pending'::text AS status,
    NULL::text AS cause,
    queue.seq,
    queue.lanes,
    queue.blocked,
    queue.due_at,
    queue.lease,
    queue.leased_until,
    queue.resume_at,
    queue.asked,
    queue.attempts,
    queue.tries,
    queue.verdicts,
    queue.positions,
    queue.newest_message_at,
    queue.created_at,
    NULL::bigint AS settled_at,
    queue.released,
    queue.last_error,
    queue.log,
    queue.streak,
    queue.body
   FROM queue
UNION ALL
 SELECT history.id,
    history.webhook_id,
    history.target,
    history.channel,
    history.status,
    history.cause,
    NULL::bigint AS seq,
    history.lanes,
    0 AS blocked,
    NULL::bigint AS due_at,
    NULL::bigint AS lease,
    0 AS leased_until,
    NULL::bigint AS resume_at,
    false AS asked,
    history.attempts,
    history.tries,
    history.verdicts,
    history.positions,
    history.newest_message_at,
    history.created_at,
    history.settled_at,
    history.released,
    history.last_error,
    history.log,
    NULL::text AS streak,
    history.body
   FROM history;

CREATE OR REPLACE FUNCTION gateway.make_day(day integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
END $function$;
