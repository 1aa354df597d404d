import type { Attempt } from '../../model.js';

/** The newest attempts that a delivery keeps: manual retries have no limit. */
const MAX_LOGGED_ATTEMPTS = 50;
/** Only the newest attempts keep their response, because each attempt rewrites the whole log. */
const MAX_LOGGED_RESPONSES = 3;

/** When a pending delivery is due, and what is left of a manual retry. Times in milliseconds. */
export interface RetrySchedule {
  readonly dueAt: number;
  /** When the retry schedule continues after a manual attempt; null: `dueAt` is the schedule's own time. */
  readonly resumeAt: number | null;
  /** Someone requested a manual attempt while another attempt was in flight. */
  readonly isRetryRequested: boolean;
}

/**
 * When a pending delivery is due after a failed attempt. `scheduledAt` is the next time of its retry schedule. A manual
 * attempt leaves the schedule as it was, so a `resumeAt` in the future wins. A retry requested meanwhile is due at once.
 */
export function scheduleAfterFailure(
  { resumeAt, isRetryRequested }: Pick<RetrySchedule, 'resumeAt' | 'isRetryRequested'>,
  scheduledAt: number,
  now: number,
): RetrySchedule {
  const automaticAt = resumeAt !== null && resumeAt > now ? resumeAt : scheduledAt;
  return isRetryRequested
    ? { dueAt: now, resumeAt: automaticAt, isRetryRequested: false }
    : { dueAt: automaticAt, resumeAt: null, isRetryRequested: false };
}

/** The log of a delivery with one more attempt: the newest 50, the newest 3 of them with their response. */
export function appendAttempt(log: readonly Attempt[], attempt: Attempt): Attempt[] {
  const attempts = [...log, attempt].slice(-MAX_LOGGED_ATTEMPTS);
  const older = attempts.slice(0, -MAX_LOGGED_RESPONSES).map(({ startedAt, durationMs, status, error }) => ({
    startedAt,
    durationMs,
    status,
    error,
  }));
  return [...older, ...attempts.slice(-MAX_LOGGED_RESPONSES)];
}

/** What a settlement adds to. */
export interface AttemptsBefore {
  /** All attempts that were ever made. */
  readonly attempts: number;
  /** Those of its schedule. */
  readonly tries: number;
  /** When its schedule continues after a manual attempt; null: this attempt is part of it. */
  readonly resumeAt: number | null;
}

/** How many attempts were made after this one; null: none was made. */
export function attemptsAfter(
  { tries, attempts, resumeAt }: AttemptsBefore,
  attempt: Attempt | null,
): { tries: number; attempts: number } {
  if (!attempt) return { tries, attempts };
  return { tries: resumeAt === null ? tries + 1 : tries, attempts: attempts + 1 };
}

/** The log (JSON) and the last error after a settlement. @param reason shown in the place of the attempt's error */
export function historyAfter(
  { log, lastError }: { readonly log: string; readonly lastError: string | null },
  { attempt, reason }: { readonly attempt: Attempt | null; readonly reason?: string },
): { log: string; lastError: string | null } {
  if (!attempt) return { log, lastError: reason ?? lastError };
  const appended = JSON.stringify(appendAttempt(JSON.parse(log) as Attempt[], attempt));
  return { log: appended, lastError: reason ?? attempt.error };
}
