import { HOUR_MS } from '../../durations.js';
import { GatewayError } from '../../errors.js';
import type { ResyncMessageStatus } from '../../model.js';
import type { CallsDue } from '../calls.js';
import type { CallResult, ResyncCall, ResyncRequest } from '../resyncs.js';

/** One id of one resync whose window is open. */
export interface OpenRegistration {
  readonly resync: number;
  readonly resyncId: string;
  readonly position: number;
  readonly status: ResyncMessageStatus;
  readonly askedAt: number | null;
  readonly closesAt: number | null;
  readonly nextAt: number | null;
  readonly error: string | null;
  readonly calls: number;
  readonly windowSeconds: number;
  readonly registeredAt: number;
}

/** Joining a registration repeats its call when the last one was made longer ago than this. */
export const ASK_AGAIN_AFTER_MS = HOUR_MS;

/** The statuses in which a message has a call to make; `requesting`: the lease of its call has run out. */
export const STATUSES_WITH_CALL: Readonly<Record<ResyncCall['kind'], readonly ResyncMessageStatus[]>> = {
  resync: ['requesting', 'queued'],
  poll: ['waiting'],
};

/** Weight of the newest call in the moving average of their durations. */
export const NEWEST_CALL_WEIGHT = 0.2;

/** The state of a registration that waits for its call or its webhook. */
export type RegisteredState = Pick<OpenRegistration, 'status' | 'askedAt' | 'nextAt' | 'closesAt' | 'error'>;

/** The state of an id that joins an open registration; the window becomes the longer of both. */
export function joinedState(open: RegisteredState, windowSeconds: number): RegisteredState {
  const { status, askedAt, nextAt, closesAt, error } = open;
  if (closesAt === null || askedAt === null) return { status, askedAt, nextAt, closesAt, error };
  return { status, askedAt, nextAt, closesAt: Math.max(closesAt, askedAt + windowSeconds * 1000), error };
}

/** The state of an id that no other resync is bringing back: its call is due. */
export function notAskedYet(now: number): RegisteredState {
  return { status: 'queued', askedAt: null, nextAt: now, closesAt: null, error: null };
}

/**
 * When the window closes after a call; null: the result does not say. A resync that joined during the call may want a
 * longer window than the call was made with.
 * @param longest the longest window of the id's registrations in progress, in seconds
 */
export function closesAtOf(
  { windowSeconds }: ResyncCall,
  { closesAt, refused }: CallResult,
  longest: number,
): number | null {
  if (closesAt === undefined || closesAt === null) return null;
  return closesAt + 1000 * Math.max(0, (refused === true ? 0 : longest) - windowSeconds);
}

/** When calls are due. @param dueOf when the first ones of these statuses are due; empty: none is */
export function callsDue(dueOf: (statuses: readonly ResyncMessageStatus[]) => readonly number[]): CallsDue | null {
  const [asks, polls] = [dueOf(STATUSES_WITH_CALL.resync), dueOf(STATUSES_WITH_CALL.poll)];
  if (asks.length + polls.length === 0) return null;
  return { dueAt: Math.min(...asks, ...polls), askDueAt: asks.length > 0 ? Math.min(...asks) : null };
}

/** @throws GatewayError GW_IDEMPOTENCY_MISMATCH (the key was used for another request) */
export function checkSameRequest(
  { fingerprint }: { readonly fingerprint: string | null },
  idempotency: ResyncRequest['idempotency'],
): void {
  if (fingerprint === idempotency?.fingerprint) return;
  throw new GatewayError(
    'GW_IDEMPOTENCY_MISMATCH',
    'This Idempotency-Key was used with another body. Send that body again, or use a new key.',
  );
}

/** The error for an unknown resync: GW_NOT_FOUND. */
export function noSuchResync(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no resync "${id}".`);
}
