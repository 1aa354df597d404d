import type { Proof } from '../../model.js';
import type { OpenRegistration, RegisteredState } from '../rules/registrations.js';
import type { ResyncRequest } from '../resyncs.js';
import type { Transaction } from './queries.js';
import { plainUuid } from './keys.js';
import { IN_PROGRESS } from './open-registrations.js';

/** A registration of one id to write. Keys are as `uuidOf` gives them. */
export interface NewMessage extends RegisteredState {
  readonly position: number;
  readonly messageId: string;
  readonly key: string;
  /** A webhook carried the message before. */
  readonly isKnown: boolean;
  readonly proof: Proof | null;
  readonly restoredAt: number | null;
}

/** Inserts a resync without its ids. @param ownedUntil until when its replica must make the next step; null: it is complete */
export async function insertResync(
  tx: Transaction,
  { channel, deliverUnseen, windowSeconds, idempotency }: ResyncRequest,
  id: string,
  now: number,
  ownedUntil: number | null,
): Promise<void> {
  await tx.run(
    `INSERT INTO gateway.resyncs (id, channel, deliver_unseen, window_seconds, idempotency_key, fingerprint, created_at, complete,
       owned_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    ...[id, channel, deliverUnseen, windowSeconds, idempotency?.key ?? null, idempotency?.fingerprint ?? null, now],
    ...[ownedUntil === null, ownedUntil],
  );
}

/** Inserts the registrations of some ids of a resync. */
export async function insertMessages(
  tx: Transaction,
  resyncId: string,
  channel: string,
  rows: readonly NewMessage[],
): Promise<void> {
  await tx.run(
    `INSERT INTO gateway.resync_messages (resync, channel, position, message_id, key, status, calls, polls, refused, closed,
       known, asked_at, next_at, closes_at, error, restored_at, settled_at, proof)
     SELECT r.number, $2, m.position, m.message_id, m.key, m.status, 0, 0, false, false, m.known, m.asked_at, m.next_at,
       m.closes_at, m.error, m.restored_at, m.restored_at, m.proof
     FROM gateway.resyncs r, unnest($3::int[], $4::text[], $5::uuid[], $6::text[], $7::boolean[], $8::bigint[], $9::bigint[],
       $10::bigint[], $11::text[], $12::bigint[], $13::text[])
       AS m(position, message_id, key, status, known, asked_at, next_at, closes_at, error, restored_at, proof)
     WHERE r.id = $1`,
    resyncId,
    channel,
    rows.map(({ position }) => position),
    rows.map(({ messageId }) => messageId),
    rows.map(({ key }) => key),
    rows.map(({ status }) => status),
    rows.map(({ isKnown }) => isKnown),
    rows.map(({ askedAt }) => askedAt),
    rows.map(({ nextAt }) => nextAt),
    rows.map(({ closesAt }) => closesAt && Math.round(closesAt)),
    rows.map(({ error }) => error),
    rows.map(({ restoredAt }) => restoredAt),
    rows.map(({ proof }) => proof),
  );
}

/** Those of the keys whose messages a webhook has carried: more than having been asked for, or seeded. */
export async function knownKeys(tx: Transaction, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await tx.all<{ key: string }>(
    'SELECT key FROM gateway.ledger WHERE key = ANY($1::uuid[]) AND first_seen_at IS NOT NULL',
    keys,
  );
  return new Set(rows.map(({ key }) => plainUuid(key)));
}

/** Makes calls due now if the last ones were made at `before` or earlier. Returns how many rows it changed. */
export async function requeue(tx: Transaction, keys: readonly string[], before: number, now: number): Promise<number> {
  return await tx.run(
    `UPDATE gateway.resync_messages SET status = 'queued', next_at = $2, closes_at = NULL
     WHERE key = ANY($1::uuid[]) AND status = 'waiting' AND NOT closed AND asked_at <= $3`,
    keys,
    now,
    before,
  );
}

/** Keeps the windows in progress open at least until the given times. */
export async function keepWindowsOpen(
  tx: Transaction,
  windows: readonly { readonly key: string; readonly closesAt: number }[],
): Promise<void> {
  await tx.run(
    `UPDATE gateway.resync_messages m SET closes_at = w.closes_at FROM unnest($1::uuid[], $2::bigint[]) AS w(key, closes_at)
     WHERE m.key = w.key AND ${IN_PROGRESS} AND m.closes_at < w.closes_at`,
    windows.map(({ key }) => key),
    windows.map(({ closesAt }) => Math.round(closesAt)),
  );
}

/** Makes the windows of registrations at least `toSeconds` long, from the next call on. */
export async function setWindows(
  tx: Transaction,
  registrations: readonly OpenRegistration[],
  toSeconds: number,
): Promise<void> {
  const shorter = registrations.filter(({ windowSeconds }) => windowSeconds < toSeconds);
  if (shorter.length === 0) return;
  await tx.run(
    `UPDATE gateway.resync_messages m SET window_seconds = $1
     FROM unnest($2::int[], $3::int[]) AS w(resync, position) WHERE m.resync = w.resync AND m.position = w.position AND NOT m.closed`,
    toSeconds,
    shorter.map(({ resync }) => resync),
    shorter.map(({ position }) => position),
  );
}
