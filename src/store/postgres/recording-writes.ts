import type { ReplayWatch } from '../../intake/replays.js';
import type { Param, Transaction } from './queries.js';
import { Bodies } from './bodies.js';
import { fingerprintUuid, uuidOf, uuidsIn } from './keys.js';
import type { PlacedDelivery, RecordingState } from './recording-state.js';
import { updateChannel } from './registry.js';
import type { RegistryCache } from './registry-cache.js';

/**
 * The usual rows of recorded webhooks, in one statement. All its parts see the tables as they were before it, so `in_lanes`
 * cannot see the lanes that `added` inserts: `behind` says whether a delivery of this very statement is in a lane before it.
 */
const WRITE = `
WITH webhooks AS (
  INSERT INTO gateway.webhooks (id, received_at, channel, method, suffix, content_type, event, audit, via, body)
  SELECT id, received_at, channel, method, suffix, content_type, event, audit, via, substring($1::bytea FROM start FOR length)
  FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::int[], $12::int[])
    AS w (id, received_at, channel, method, suffix, content_type, event, audit, via, start, length)
), sightings AS (
  INSERT INTO gateway.sightings (webhook_id, position, rule, held, placeholder, carrier, message_key, message_id, verdict)
  SELECT * FROM unnest($13::bigint[], $14::int[], $15::smallint[], $16::boolean[], $17::boolean[], $18::text[], $19::uuid[], $20::text[], $21::text[])
), ids AS (
  INSERT INTO gateway.ledger AS l (key, fingerprint, first_seen_at, last_seen_at, webhook_id, seeded_at, position, rule, unposted)
  SELECT * FROM unnest($22::uuid[], $23::uuid[], $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::int[], $29::smallint[], $30::boolean[])
    AS i (key, fingerprint, first_seen_at, last_seen_at, webhook_id, seeded_at, position, rule, unposted) ORDER BY key
  ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, first_seen_at = excluded.first_seen_at,
    last_seen_at = excluded.last_seen_at, webhook_id = excluded.webhook_id, seeded_at = excluded.seeded_at,
    position = excluded.position, rule = excluded.rule, unposted = excluded.unposted
), chats AS (
  INSERT INTO gateway.chats AS c (key, newest_at, received_at, own_at)
  SELECT * FROM unnest($31::uuid[], $32::double precision[], $33::bigint[], $34::double precision[])
    AS n (key, newest_at, received_at, own_at) ORDER BY key
  ON CONFLICT (key) DO UPDATE SET newest_at = greatest(c.newest_at, excluded.newest_at),
    received_at = CASE WHEN excluded.newest_at > c.newest_at THEN excluded.received_at ELSE c.received_at END,
    own_at = greatest(c.own_at, excluded.own_at)
  WHERE excluded.newest_at > c.newest_at OR excluded.own_at IS NOT NULL
), in_lanes AS (
  SELECT id, target, lane, seq, behind FROM unnest($35::bigint[], $36::int[], $37::uuid[], $38::bigint[], $39::boolean[])
    AS p (id, target, lane, seq, behind)
), waiting AS (
  SELECT id, count(*) FILTER (WHERE behind OR EXISTS (
    SELECT FROM gateway.lanes l WHERE l.target = in_lanes.target AND l.lane = in_lanes.lane))::int AS blocked
  FROM in_lanes GROUP BY id
), added AS (
  INSERT INTO gateway.lanes (target, lane, seq, delivery_id) SELECT target, lane, seq, id FROM in_lanes
)
INSERT INTO gateway.queue (id, webhook_id, seq, due_at, created_at, newest_message_at, target, blocked, attempts, tries, released,
  channel, lanes, verdicts, positions, body)
SELECT d.id, d.webhook_id, d.seq, d.now, d.now, d.newest_message_at, d.target, coalesce(w.blocked, 0), 0, 0, d.released,
  d.channel, d.lanes::uuid[], d.verdicts, d.positions::int[], substring($1::bytea FROM d.start FOR d.length)
FROM unnest($40::bigint[], $41::bigint[], $42::bigint[], $43::bigint[], $44::double precision[], $45::int[], $46::boolean[], $47::text[],
    $48::text[], $49::text[], $50::text[], $51::int[], $52::int[])
  AS d (id, webhook_id, seq, now, newest_message_at, target, released, channel, lanes, verdicts, positions, start, length)
LEFT JOIN waiting w ON w.id = d.id`;

/** Writes what was recorded, and commits. */
export async function writeAndCommit(
  tx: Transaction,
  state: RecordingState,
  registry: RegistryCache,
  replays: { readonly watch: ReplayWatch; readonly channels: readonly string[] },
): Promise<void> {
  const rare = writeRare(tx, state, registry, replays);
  const bodies = new Bodies();
  const params = [
    ...webhookParams(state, bodies),
    ...sightingParams(state),
    ...idParams(state),
    ...chatParams(state),
    ...laneParams(state.deliveries),
    ...deliveryParams(state.deliveries, bodies),
  ];
  await Promise.all([...rare, tx.commitWith(WRITE, bodies.all(), ...params)]);
}

function webhookParams({ webhooks }: RecordingState, bodies: Bodies): Param[] {
  return [
    webhooks.map(({ id }) => id),
    webhooks.map(({ receivedAt }) => receivedAt),
    webhooks.map(({ webhook }) => webhook.channel),
    webhooks.map(({ webhook }) => webhook.method),
    webhooks.map(({ webhook }) => webhook.suffix),
    webhooks.map(({ webhook }) => webhook.contentType),
    webhooks.map(({ event }) => event),
    webhooks.map(({ audit }) => audit),
    webhooks.map(({ webhook }) => webhook.via ?? null),
    webhooks.map(({ body }) => bodies.add(body)),
    webhooks.map(({ body }) => body.length),
  ];
}

function sightingParams({ sightings }: RecordingState): Param[] {
  return [
    sightings.map(({ webhookId }) => webhookId),
    sightings.map(({ position }) => position),
    sightings.map(({ rule }) => rule),
    sightings.map(({ isHeld }) => isHeld),
    sightings.map(({ isPlaceholder }) => isPlaceholder),
    sightings.map(({ carrier }) => carrier),
    sightings.map(({ messageKey }) => messageKey && uuidOf(messageKey)),
    sightings.map(({ messageId }) => messageId),
    sightings.map(({ verdict }) => verdict),
  ];
}

function idParams({ changedIds }: RecordingState): Param[] {
  const facts = [...changedIds.values()];
  return [
    [...changedIds.keys()],
    facts.map(({ fingerprint }) => fingerprint && fingerprintUuid(fingerprint)),
    facts.map(({ firstSeenAt }) => firstSeenAt),
    facts.map(({ lastSeenAt }) => lastSeenAt),
    facts.map(({ webhookId }) => webhookId),
    facts.map(({ seededAt }) => seededAt),
    facts.map(({ position }) => position),
    facts.map(({ rule }) => rule),
    facts.map(({ unposted }) => unposted),
  ];
}

function chatParams({ changedChats }: RecordingState): Param[] {
  const chats = [...changedChats.values()];
  return [
    [...changedChats.keys()],
    chats.map(({ newestAt }) => newestAt),
    chats.map(({ receivedAt }) => receivedAt),
    chats.map(({ ownAt }) => ownAt),
  ];
}

/** A row for each lane of each delivery. */
function laneParams(deliveries: readonly PlacedDelivery[]): Param[] {
  const ids: number[] = [];
  const targets: number[] = [];
  const lanes: string[] = [];
  const seqs: number[] = [];
  const behind: boolean[] = [];
  const taken = new Set<string>();
  for (const { id, seq, delivery } of deliveries) {
    for (const lane of uuidsIn(delivery.lanes)) {
      const place = `${delivery.target} ${lane}`;
      ids.push(id);
      targets.push(delivery.target);
      lanes.push(lane);
      seqs.push(seq);
      behind.push(taken.has(place));
      taken.add(place);
    }
  }
  return [ids, targets, lanes, seqs, behind];
}

function deliveryParams(deliveries: readonly PlacedDelivery[], bodies: Bodies): Param[] {
  return [
    deliveries.map(({ id }) => id),
    deliveries.map(({ delivery }) => delivery.webhookId),
    deliveries.map(({ seq }) => seq),
    deliveries.map(({ now }) => now),
    deliveries.map(({ delivery }) => delivery.newestMessageAt),
    deliveries.map(({ delivery }) => delivery.target),
    deliveries.map(({ delivery }) => delivery.released === true),
    deliveries.map(({ delivery }) => delivery.channel),
    deliveries.map(({ delivery }) => `{${uuidsIn(delivery.lanes).join()}}`),
    deliveries.map(({ delivery }) => delivery.verdicts.join()),
    deliveries.map(({ delivery }) => delivery.positions && `{${delivery.positions.join()}}`),
    deliveries.map(({ delivery }) => delivery.body && bodies.add(delivery.body)),
    deliveries.map(({ delivery }) => delivery.body?.length ?? null),
  ];
}

/** What most webhooks do not have, each kind in a statement of its own. */
function writeRare(
  tx: Transaction,
  state: RecordingState,
  registry: RegistryCache,
  { watch, channels }: { readonly watch: ReplayWatch; readonly channels: readonly string[] },
): Promise<unknown>[] {
  const statements: Promise<unknown>[] = [];
  if (state.evidenceRows.length > 0) statements.push(writeEvidence(tx, state));
  if (state.newFingerprints.size > 0)
    statements.push(
      tx.run(
        `INSERT INTO gateway.fingerprints (key, recorded_at) SELECT key, at FROM unnest($1::uuid[], $2::bigint[]) AS f (key, at) ORDER BY key
         ON CONFLICT (key) DO UPDATE SET recorded_at = excluded.recorded_at`,
        [...state.newFingerprints.keys()],
        [...state.newFingerprints.values()],
      ),
    );
  if (state.changedObjects.size > 0) statements.push(writeObjects(tx, state));
  if (state.restoredKeys.size > 0)
    statements.push(
      // A message that came before the call to Whapi needs no call any more, so its window starts now.
      tx.run(
        `UPDATE gateway.resync_messages m SET status = 'restored', restored_at = r.now, settled_at = r.now, proof = 'webhook',
           next_at = NULL, error = NULL, closes_at = coalesce(m.closes_at,
             r.now + (1000 * (SELECT window_seconds FROM gateway.resyncs WHERE number = m.resync))::bigint)
         FROM unnest($1::uuid[], $2::bigint[]) AS r (key, now)
         WHERE m.key = r.key AND NOT m.closed AND m.status IN ('queued', 'requesting', 'waiting', 'failed')`,
        [...state.restoredKeys.keys()],
        [...state.restoredKeys.values()],
      ),
    );
  if (state.cameAs.size > 0)
    statements.push(
      tx.run(
        `UPDATE gateway.content_fingerprints f SET came_as = c.came_as FROM unnest($1::uuid[], $2::uuid[]) AS c (key, came_as)
         WHERE f.message_key = c.key`,
        [...state.cameAs.keys()],
        [...state.cameAs.values()],
      ),
    );
  if (channels.length > 0) statements.push(...writeReplays(tx, state, watch, channels));
  for (const channel of state.bound.values()) statements.push(updateChannel(tx, channel));
  if (state.bound.size > 0) statements.push(registry.changed(tx));
  for (const statement of statements) statement.catch(() => undefined); // awaited together with the commit
  return statements;
}

async function writeEvidence(tx: Transaction, { evidenceRows: rows }: RecordingState): Promise<void> {
  await tx.run(
    `INSERT INTO gateway.evidence (webhook_id, position, recorded_at, newest_sent_at, newest_received_at, sent_at, late_after_seconds,
       same_as, replay_began_at, replay_after_seconds)
     SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::double precision[], $5::bigint[], $6::double precision[],
       $7::double precision[], $8::text[], $9::bigint[], $10::double precision[])`,
    rows.map(({ webhookId }) => webhookId),
    rows.map(({ position }) => position),
    rows.map(({ recordedAt = null }) => recordedAt),
    rows.map(({ newestSentAt = null }) => newestSentAt),
    rows.map(({ newestReceivedAt = null }) => newestReceivedAt),
    rows.map(({ sentAt = null }) => sentAt),
    rows.map(({ lateAfterSeconds = null }) => lateAfterSeconds),
    rows.map(({ sameAs = null }) => sameAs),
    rows.map(({ replayBeganAt = null }) => replayBeganAt),
    rows.map(({ replayAfterSeconds = null }) => replayAfterSeconds),
  );
}

/** What was told of an object may be long, so it travels as one `bytea` as well. */
async function writeObjects(tx: Transaction, { changedObjects }: RecordingState): Promise<void> {
  const lasts = new Bodies();
  const objects = [...changedObjects].sort(([one], [other]) => (one < other ? -1 : 1));
  const starts = objects.map(([, { last }]) => lasts.add(last));
  await tx.run(
    `INSERT INTO gateway.objects (key, recorded_at, last)
     SELECT key, at, substring($1::bytea FROM start FOR length) FROM unnest($2::uuid[], $3::bigint[], $4::int[], $5::int[]) AS o (key, at, start, length)
     ON CONFLICT (key) DO UPDATE SET last = excluded.last, recorded_at = excluded.recorded_at`,
    lasts.all(),
    objects.map(([key]) => key),
    objects.map(([, { recordedAt }]) => recordedAt),
    starts,
    objects.map(([, { last }]) => last.length),
  );
}

function writeReplays(
  tx: Transaction,
  { replays }: RecordingState,
  watch: ReplayWatch,
  channels: readonly string[],
): Promise<unknown>[] {
  const saved = [...replays].map(async ([channel, { beganAt, lastAt, messages, held, oldestSentAt }]) => {
    await tx.run(
      `INSERT INTO gateway.replays (channel, began_at, last_at, messages, held, oldest_sent_at) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (channel) DO UPDATE SET began_at = excluded.began_at, last_at = excluded.last_at, messages = excluded.messages,
         held = excluded.held, oldest_sent_at = excluded.oldest_sent_at`,
      ...[channel, beganAt, lastAt, messages, held, Math.floor(oldestSentAt)],
    );
  });
  const arrivals = channels.flatMap((channel) => watch.arrivals(channel));
  const forgotten = tx.run('DELETE FROM gateway.replay_arrivals WHERE channel = ANY($1::text[])', channels);
  if (arrivals.length === 0) return [...saved, forgotten];
  const kept = tx.run(
    `INSERT INTO gateway.replay_arrivals (channel, key, at, sent_at)
     SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::double precision[])`,
    arrivals.map(({ channel }) => channel),
    arrivals.map(({ key }) => uuidOf(key)),
    arrivals.map(({ at }) => at),
    arrivals.map(({ sentAt }) => sentAt),
  );
  return [...saved, forgotten, kept];
}
