import { RANKS_FROM } from '../rules/pace.js';
import { LEASE_COLUMNS } from './leases.js';
import type { LeaseRow } from './leases.js';

/** A claimed delivery, with the columns of its webhook that an attempt needs. */
export interface ClaimedRow extends LeaseRow {
  readonly target: number;
  /** Or its rank: see rules/pace.ts. */
  readonly due_at: number;
  readonly verdicts: string;
  readonly newest_message_at: number | null;
  /** Null: its webhook is missing. */
  readonly event: string | null;
  readonly method: string;
  readonly suffix: string;
  readonly content_type: string | null;
  readonly via: string | null;
  readonly body: Buffer;
}

export interface NextRow {
  readonly target: number;
  /** When its next first attempt and its next retry may be claimed; null: none waits. */
  readonly first_at: number | null;
  readonly again_at: number | null;
  readonly has_ranked: boolean;
}

type Kind = 'tries = 0' | 'tries > 0';

/** The claimable deliveries of a target and kind; I6: `blocked = 0` lets only those at the front of their lanes through. */
function waiting(kind: Kind): string {
  return `gateway.queue q WHERE q.target = w.target AND q.blocked = 0 AND q.${kind}`;
}

/**
 * When the next delivery of a kind may be claimed. Only leased deliveries are skipped: they are due, so they come first in the
 * index.
 * @param now the parameter with the time
 */
function nextAt(kind: Kind, now: string): string {
  return `(SELECT CASE WHEN f.due_at <= ${now} THEN f.due_at ELSE least(f.due_at,
      (SELECT min(q.leased_until) FROM ${waiting(kind)} AND q.due_at <= ${now} AND q.leased_until > ${now})) END
    FROM (SELECT (SELECT q.due_at FROM ${waiting(kind)} AND q.due_at < ${RANKS_FROM} AND q.leased_until <= ${now}
      ORDER BY q.due_at, q.id LIMIT 1) AS due_at) f)`;
}

function isRanked(kind: Kind): string {
  return `EXISTS (SELECT 1 FROM ${waiting(kind)} AND q.due_at >= ${RANKS_FROM})`;
}

function next(now: string): string {
  return `w.target, ${nextAt('tries = 0', now)} AS first_at, ${nextAt('tries > 0', now)} AS again_at,
    (${isRanked('tries = 0')} OR ${isRanked('tries > 0')}) AS has_ranked`;
}

function nextTarget(kind: Kind): string {
  return `(SELECT q.target FROM gateway.queue q WHERE q.blocked = 0 AND q.${kind} AND q.target > w.target ORDER BY q.target LIMIT 1)`;
}

/**
 * When the next delivery of each target may be claimed; targets without one are left out. An index lookup leads from each
 * target to the next, so that of a thousand targets only those with a delivery cost something.
 */
export const NEXT_BY_TARGET = `WITH RECURSIVE targets AS (
    SELECT 0 AS target
    UNION ALL
    SELECT least(${nextTarget('tries = 0')}, ${nextTarget('tries > 0')}) FROM targets w WHERE w.target IS NOT NULL
  )
  SELECT ${next('$1::bigint')} FROM targets w WHERE w.target > 0`;

/** The same for these targets. */
export const NEXT_OF_TARGETS = `SELECT ${next('$2::bigint')} FROM unnest($1::int[]) AS w(target)`;

/** The parameters of a claim that its parts refer to. */
const NOW = '$7::bigint';
/** Not leased, or leased by an earlier claim of this replica whose answer was lost. */
const FREE = `(q.leased_until <= ${NOW} OR q.lease = ANY($10::bigint[]))`;
const TAKEN = 'q.id, q.due_at, q.webhook_id, octet_length(q.body) AS own_length';

function lockedFree(kind: Kind, range: string, limit: string): string {
  return `(SELECT ${TAKEN} FROM ${waiting(kind)} AND ${range} AND ${FREE}
      ORDER BY q.due_at, q.id LIMIT greatest(0, ${limit}) FOR UPDATE OF q SKIP LOCKED)`;
}

const DUE = `q.due_at <= ${NOW}`;
const RANKED = `q.due_at >= ${RANKS_FROM}`;
const NUMBERED = 'row_number() OVER (PARTITION BY w.target ORDER BY d.due_at, d.id) AS n';
const COLUMNS = 'd.id, d.due_at, d.webhook_id, d.own_length';
const LEFT = '(w.most_of_all - (SELECT count(*) FROM due e WHERE e.target = w.target)::int)';
const LEFT_RETRIES =
  "(w.most_retries - (SELECT count(*) FROM due e WHERE e.target = w.target AND e.kind = 'again')::int)";

/**
 * Leases due deliveries of all targets (I5): see `Outbox.claim`. Of each target: the retries with a reserved place, first
 * attempts, more retries, then its backlog by rank; up to the delivery whose body exceeds the bytes. Rows that another replica
 * is claiming are skipped, and no indexed column is changed.
 *
 * $1 to $6 describe what is wanted of each target, $8 is the token, $9 the length of the lease.
 */
export const CLAIM = `WITH want AS (
    SELECT w.target, w.most_of_all, w.kept, w.most_retries, w.bytes, least(w.backlog, w.most_of_all) AS backlog, w.at
    FROM unnest($1::int[], $2::int[], $3::int[], $4::int[], $5::float8[], $6::int[]) WITH ORDINALITY
      AS w(target, most_of_all, kept, most_retries, bytes, backlog, at)
  ), again AS MATERIALIZED (
    SELECT w.target, w.kept, w.most_of_all, ${COLUMNS}, ${NUMBERED}
    FROM want w CROSS JOIN LATERAL ${lockedFree('tries > 0', DUE, 'least(w.most_of_all, w.most_retries)')} d
  ), first AS MATERIALIZED (
    SELECT w.target, ${COLUMNS}, ${NUMBERED} FROM want w CROSS JOIN LATERAL
      ${lockedFree('tries = 0', DUE, 'w.most_of_all - (SELECT count(*) FROM again a WHERE a.target = w.target AND a.n <= a.kept)::int')} d
  ), due AS MATERIALIZED (
    SELECT d.target, ${COLUMNS}, 'again' AS kind, CASE WHEN d.n <= d.kept THEN 0 ELSE 2 END AS part, d.n FROM again d
    WHERE d.n <= greatest(d.kept, d.most_of_all - (SELECT count(*) FROM first f WHERE f.target = d.target))
    UNION ALL
    SELECT d.target, ${COLUMNS}, 'first', 1, d.n FROM first d
  ), ranked_first AS MATERIALIZED (
    SELECT w.target, ${COLUMNS} FROM want w CROSS JOIN LATERAL
      ${lockedFree('tries = 0', RANKED, `least(w.backlog, ${LEFT})`)} d
  ), ranked_again AS MATERIALIZED (
    SELECT w.target, ${COLUMNS} FROM want w CROSS JOIN LATERAL
      ${lockedFree('tries > 0', RANKED, `least(w.backlog, ${LEFT}, ${LEFT_RETRIES})`)} d
  ), ranked AS (
    SELECT w.target, ${COLUMNS}, ${NUMBERED}, least(w.backlog, ${LEFT}) AS most FROM want w
      JOIN (SELECT * FROM ranked_first UNION ALL SELECT * FROM ranked_again) d ON d.target = w.target
  ), picked AS (
    SELECT d.target, d.id, d.webhook_id, d.own_length, d.part, d.n FROM due d
    UNION ALL
    SELECT d.target, d.id, d.webhook_id, d.own_length, 3, d.n FROM ranked d WHERE d.n <= d.most
  ), fitting AS MATERIALIZED (
    SELECT s.id, w.at, s.part, s.n FROM (
      SELECT p.target, p.id, p.part, p.n, coalesce(sum(coalesce(p.own_length,
          (SELECT octet_length(w.body) FROM gateway.webhooks w WHERE w.id = p.webhook_id))) OVER (
        PARTITION BY p.target ORDER BY p.part, p.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
      FROM picked p
    ) s JOIN want w ON w.target = s.target WHERE s.bytes_before < w.bytes
  ), leased AS (
    UPDATE gateway.queue q SET lease = $8::bigint, leased_until = ${NOW} + $9::bigint
    WHERE q.id = ANY(ARRAY(SELECT f.id FROM fitting f))
    RETURNING ${LEASE_COLUMNS}, q.target, q.due_at, q.verdicts, q.newest_message_at, q.webhook_id, q.body
  )
  SELECT l.id, l.channel, l.created_at, l.attempts, l.tries, l.resume_at, l.streak, l.last_error, l.log, l.target, l.due_at,
    l.verdicts, l.newest_message_at, w.event, w.method, w.suffix, w.content_type, w.via, coalesce(l.body, w.body) AS body
  FROM leased l JOIN fitting f ON f.id = l.id
    LEFT JOIN LATERAL (
      SELECT w.event, w.method, w.suffix, w.content_type, w.via, w.body FROM gateway.webhooks w WHERE w.id = l.webhook_id OFFSET 0
    ) w ON true
  ORDER BY f.at, f.part, f.n`;

/** Ends leases of a claim, by its token. */
export const GIVE_BACK = `UPDATE gateway.queue q SET lease = NULL, leased_until = 0
  WHERE q.id = ANY($1::bigint[]) AND q.lease = $2`;

/** The due deliveries of these targets that are not leased, oldest due first. */
export const TO_SORT = (['tries = 0', 'tries > 0'] as const).map(
  (
    kind,
  ) => `SELECT w.target, d.id, d.channel, d.lanes, d.verdicts, d.newest_message_at, d.resume_at, d.created_at, d.due_at
    FROM unnest($1::int[]) AS w(target) CROSS JOIN LATERAL (
      SELECT q.id, q.due_at, q.channel, q.lanes, q.verdicts, q.newest_message_at, q.resume_at, q.created_at
      FROM ${waiting(kind)} AND q.due_at <= $2 AND q.leased_until <= $2 ORDER BY q.due_at, q.id LIMIT $3
    ) d ORDER BY w.target, d.due_at, d.id`,
);

/** Locks those that are still due and not leased, and that no other replica is sorting or claiming. */
export const LOCK_TO_SORT = `SELECT q.id FROM gateway.queue q
  WHERE q.id = ANY($1::bigint[]) AND q.blocked = 0 AND q.due_at <= $2 AND q.leased_until <= $2 FOR UPDATE SKIP LOCKED`;
