import { MINUTE_MS } from '../../durations.js';
import { RESYNC_MESSAGE_STATUSES } from '../../model.js';
import type { Proof, ResyncMessageStatus, ResyncStatus } from '../../model.js';
import type { ResyncMessageView, ResyncProgress, ResyncView } from '../resyncs.js';
import type { StoredBoolean } from './stored-boolean.js';

/** A row of `resyncs`. */
export interface ResyncRow {
  readonly number: number;
  readonly id: string;
  readonly channel: string;
  readonly deliver_unseen: StoredBoolean;
  readonly window_seconds: number;
  readonly created_at: number;
  readonly cancelled_at: number | null;
  readonly last_asked_at: number | null;
  readonly call_ms: number | null;
}

/** A row of `resync_messages` and its resync. */
export interface ResyncMessageRow {
  readonly position: number;
  readonly resync_id: string;
  readonly message_id: string;
  readonly status: ResyncMessageStatus;
  readonly calls: number;
  readonly polls: number;
  readonly created_at: number;
  readonly asked_at: number | null;
  readonly restored_at: number | null;
  readonly proof: Proof | null;
  readonly known: StoredBoolean;
  readonly number: number;
  readonly closes_at: number | null;
  readonly error: string | null;
}

/** The columns of a `ResyncMessageRow`, from `resync_messages m` and `resyncs r`. */
export const RESYNC_MESSAGE_COLUMNS = `m.position, r.id AS resync_id, m.message_id, m.status, m.calls, m.polls, r.created_at, m.asked_at,
  m.restored_at, m.proof, m.known, r.number, m.closes_at, m.error`;

/** The period from which the current rate is taken. */
export const RATE_PERIOD_MS = 5 * MINUTE_MS;
/** The newest restored messages from which the average time to a proof is taken. */
export const AVERAGED_PROOFS = 50;

export type ResyncCounts = ResyncView['counts'];

/** @param counted how many messages have each status; those that none has may be left out */
export function resyncCounts(
  counted: readonly { readonly status: ResyncMessageStatus; readonly count: number }[],
): ResyncCounts {
  const counts = Object.fromEntries(RESYNC_MESSAGE_STATUSES.map((status) => [status, 0])) as Record<
    ResyncMessageStatus,
    number
  >;
  for (const { status, count } of counted) counts[status] = count;
  return counts;
}

/** Whether each message of a resync is settled. */
export function isResyncOver({ queued, requesting, waiting }: ResyncCounts): boolean {
  return queued + requesting + waiting === 0;
}

/** @param finishedAt when the last message was settled */
export function resyncView(
  row: ResyncRow,
  counts: ResyncCounts,
  finishedAt: number | null,
  progress: ResyncProgress | null,
): ResyncView {
  const isOver = isResyncOver(counts);
  return {
    id: row.id,
    channel: row.channel,
    status: statusOf(row, isOver),
    counts,
    deliverUnseen: Boolean(row.deliver_unseen),
    windowSeconds: row.window_seconds,
    createdAt: row.created_at,
    finishedAt: isOver ? finishedAt : null,
    progress: isOver ? null : progress,
  };
}

function statusOf(row: ResyncRow, isOver: boolean): ResyncStatus {
  if (row.cancelled_at !== null) return 'cancelled';
  return isOver ? 'finished' : 'running';
}

/** The time of a resync from which `settledLately` is taken. */
export function latelyMs({ created_at: createdAt }: ResyncRow, now: number): number {
  return Math.min(RATE_PERIOD_MS, Math.max(now - createdAt, 0));
}

/** A message of a resync for people. */
export function resyncMessageView(row: ResyncMessageRow, isHeld: boolean): ResyncMessageView {
  return {
    resyncId: row.resync_id,
    messageId: row.message_id,
    status: row.status,
    calls: row.calls,
    polls: row.polls,
    registeredAt: row.created_at,
    askedAt: row.asked_at,
    restoredAt: row.restored_at,
    proof: row.proof,
    known: Boolean(row.known),
    held: isHeld,
    windowClosesAt: row.closes_at,
    error: row.error,
  };
}

/** The queued messages of resyncs before the given one. @param counts queued messages of a channel by the number of their resync */
export function queuedAhead(counts: ReadonlyMap<number, number>, resync: number): number {
  let ahead = 0;
  for (const [number, count] of counts) if (number < resync) ahead += count;
  return ahead;
}
