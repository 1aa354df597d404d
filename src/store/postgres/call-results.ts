import { messageKey } from '../rules/keys.js';
import { closesAtOf, NEWEST_CALL_WEIGHT } from '../rules/registrations.js';
import type { CallResult, ResyncCall } from '../resyncs.js';
import { saveAnswer } from './call-history.js';
import type { Transaction } from './queries.js';
import { uuidOf } from './keys.js';
import { IN_PROGRESS, windowsOf } from './open-registrations.js';
import { saveShown } from './shown-messages.js';
import { rounded } from './values.js';

/** With `deliver_unseen` the webhook must come, so a poll proves nothing before the call with `resync=true` was made. */
const NEEDS_WEBHOOK =
  'NOT known AND calls = 0 AND (SELECT r.deliver_unseen FROM gateway.resyncs r WHERE r.number = resync)';

// The rows that the call was made for: they wait for its answer, or did until a webhook or a cancellation came first.
const SAVE_RESULT = `UPDATE gateway.resync_messages SET
    status = CASE WHEN status = $2 THEN $3 ELSE status END,
    next_at = CASE WHEN status = $2 THEN $4::bigint ELSE next_at END,
    error = CASE WHEN status = $2 THEN $5 ELSE error END,
    restored_at = CASE WHEN status = $2 AND $3 = 'restored' THEN $6::bigint ELSE restored_at END,
    proof = CASE WHEN status = $2 AND $3 = 'restored' THEN 'poll' ELSE proof END,
    settled_at = CASE WHEN status = $2 AND $3 IN ('restored', 'failed') THEN $6::bigint ELSE settled_at END,
    closes_at = CASE WHEN $7::bigint IS NULL AND $8::boolean AND status = $2 THEN NULL
                WHEN status = 'restored' THEN greatest(closes_at, $7::bigint)
                ELSE coalesce($7::bigint, closes_at) END,
    refused = CASE WHEN status = 'restored' THEN refused ELSE coalesce($9::boolean, refused) END
  WHERE key = $1 AND NOT closed AND (status = $2 OR asked_at = $10::bigint) AND NOT ($3 = 'restored' AND ${NEEDS_WEBHOOK})`;

const RESTORE_OTHERS = `UPDATE gateway.resync_messages SET status = 'restored', restored_at = $2::bigint, settled_at = $2::bigint, proof = 'poll',
    next_at = NULL, error = NULL,
    closes_at = coalesce(closes_at, $2::bigint + 1000 * (SELECT r.window_seconds FROM gateway.resyncs r WHERE r.number = resync))
  WHERE key = $1 AND ${IN_PROGRESS} AND NOT (SELECT r.deliver_unseen FROM gateway.resyncs r WHERE r.number = resync)`;

const REQUEUE_FOR_WEBHOOK = `UPDATE gateway.resync_messages SET status = 'queued', next_at = $2, closes_at = NULL
  WHERE key = $1 AND NOT closed AND status = 'waiting' AND ${NEEDS_WEBHOOK}`;

const SAVE_DURATION = `UPDATE gateway.resyncs
  SET call_ms = coalesce(call_ms * ${1 - NEWEST_CALL_WEIGHT} + $2::double precision * ${NEWEST_CALL_WEIGHT}, $2::double precision)
  WHERE number IN (SELECT resync FROM gateway.resync_messages WHERE key = $1 AND NOT closed AND asked_at = $3)`;

const CALL_MADE = `SELECT m.asked_at, m.calls, m.polls FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
  WHERE r.id = $1 AND m.position = $2`;

/** For use in a transaction of its own: see `Resyncs.settleCall`. */
export async function saveCallResult(
  tx: Transaction,
  call: ResyncCall,
  result: CallResult,
  now: () => number,
): Promise<void> {
  const {
    kind,
    channel: { name: channel },
    messageId,
  } = call;
  const { pause = null, tookMs, shown } = result;
  const key = messageKey(channel, messageId);
  const uuid = uuidOf(key);
  const [, row, windows, seen] = await Promise.all([
    tx.lockChannels([channel]),
    tx.one<{ asked_at: number | null; calls: number; polls: number }>(CALL_MADE, call.resyncId, call.position),
    windowsOf(tx, uuid),
    tx.one<{ last_seen_at: number }>(
      'SELECT last_seen_at FROM gateway.ledger WHERE key = $1 AND first_seen_at IS NOT NULL',
      uuid,
    ),
  ]);
  const at = now();
  const writes: Promise<unknown>[] = [saveAnswer(tx, channel, pause, at)];
  // The result of a call that was repeated since, because its lease ran out, no longer counts.
  if (row && (kind === 'resync' ? row.calls : row.polls) === call.made + 1) {
    const { asked_at: askedAt } = row;
    writes.push(saveResult(tx, call, result, { uuid, askedAt, now: at, longest: windows.get(uuid) ?? 0 }));
    if (result.status === 'restored')
      writes.push(tx.run(RESTORE_OTHERS, uuid, at), tx.run(REQUEUE_FOR_WEBHOOK, uuid, at));
    if (kind === 'resync' && !pause && tookMs !== undefined) writes.push(tx.run(SAVE_DURATION, uuid, tookMs, askedAt));
    const hasCome = askedAt !== null && seen !== undefined && seen.last_seen_at >= askedAt;
    if (shown !== undefined) writes.push(saveShown(tx, { channel, key, message: shown }, hasCome ? key : null, at));
  }
  await Promise.all(writes);
}

/** Repeats the calls made at or after `since`, because they may never have reached the phone. */
export async function repeatSince(tx: Transaction, channel: string, since: number, now: number): Promise<void> {
  await tx.run(
    `UPDATE gateway.resync_messages SET status = 'queued', next_at = $3, closes_at = NULL
       WHERE channel = $1 AND status = 'waiting' AND next_at IS NOT NULL AND asked_at >= $2 AND NOT closed`,
    ...[channel, since, now],
  );
}

async function saveResult(
  tx: Transaction,
  call: ResyncCall,
  result: CallResult,
  { uuid, askedAt, now, longest }: { uuid: string; askedAt: number | null; now: number; longest: number },
): Promise<void> {
  const isResync = call.kind === 'resync';
  await tx.run(
    SAVE_RESULT,
    ...[uuid, isResync ? 'requesting' : 'waiting', result.status, rounded(result.nextAt), result.error ?? null, now],
    ...[rounded(closesAtOf(call, result, longest)), result.closesAt === null, result.refused ?? null],
    isResync ? askedAt : null,
  );
}
