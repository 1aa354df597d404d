import { SECOND_MS } from '../../durations.js';
import { GatewayError } from '../../errors.js';
import { subscribes } from '../../intake/route.js';
import type { AuditKind, AuditStatus, Channel, EventName, ListedMessage, Target } from '../../model.js';
import type { AuditRun, AuditView, AuditWalk } from '../audits.js';
import type { NumberedTarget } from './registry-rows.js';

/** A row of `audits`. */
export interface AuditRow {
  readonly number: number;
  readonly id: string;
  readonly kind: AuditKind;
  readonly channel: string;
  readonly since: number;
  readonly until: number;
  readonly memory_since: number;
  readonly status: AuditStatus;
  readonly walk: string | null;
  readonly listed: number;
  readonly seen: number;
  readonly missing: number;
  readonly older: number;
  readonly seeded: number;
  readonly released: number;
  readonly created_at: number;
  readonly ended_at: number | null;
  readonly error: string | null;
}

/** The message of an audit that was handled last; messages are in order of time. `sentAt` in Unix seconds. */
export interface AuditCursor {
  readonly sentAt: number;
  readonly number: number;
}

/** Before the first message. */
const AUDIT_START: AuditCursor = { sentAt: -1, number: 0 };

/** What one window adds to the counts of an audit. */
export interface WindowCounts {
  listed: number;
  seen: number;
  missing: number;
  older: number;
  seeded: number;
}

const RELEASED: EventName = { type: 'messages', method: 'post' };

/** Runs small steps, each in a commit of its own, until one returns null: nothing is left. */
export async function inSteps(step: (after: AuditCursor) => Promise<AuditCursor | null>): Promise<void> {
  let cursor: AuditCursor | null = AUDIT_START;
  while (cursor !== null) cursor = await step(cursor);
}

/** The error for an unknown audit: GW_NOT_FOUND. */
export function noSuchAudit(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no audit "${id}".`);
}

function parseWalk(text: string): AuditWalk {
  return JSON.parse(text) as AuditWalk;
}

/** The round that an audit is in. */
export function roundOf({ walk }: Pick<AuditRow, 'walk'>): number {
  return walk === null ? 1 : parseWalk(walk).round;
}

/** What an audit finds of a message that Whapi lists. @param isSeen a webhook has carried it */
export function comparisonOf(
  { memory_since: memorySince }: Pick<AuditRow, 'memory_since'>,
  { timestamp }: Pick<ListedMessage, 'timestamp'>,
  isSeen: boolean,
): 'seen' | 'older' | 'missing' {
  if (isSeen) return 'seen';
  return timestamp < Math.floor(memorySince / SECOND_MS) ? 'older' : 'missing';
}

/** A running audit as its worker takes it, without the lease. */
export function auditRunOf(
  { id, kind, since, until, walk }: Pick<AuditRow, 'id' | 'kind' | 'since' | 'until' | 'walk'>,
  channel: Channel,
): Omit<AuditRun, 'lease'> {
  return { id, kind, channel, since, until, walk: walk === null ? null : parseWalk(walk) };
}

/** An audit for people. */
export function auditViewOf(row: AuditRow): AuditView {
  const walk = row.walk === null ? null : parseWalk(row.walk);
  return {
    id: row.id,
    kind: row.kind,
    channel: row.channel,
    status: row.status,
    since: row.since,
    until: row.until,
    memorySince: row.memory_since,
    readUntil: walk ? Math.min(walk.from, row.until) : row.since,
    round: walk?.round ?? 1,
    unsettled: walk?.unsettled ?? false,
    counts: {
      whapiHas: row.listed,
      seen: row.seen,
      neverCame: row.missing,
      beforeMemory: row.older,
      seeded: row.seeded,
      released: row.released,
    },
    createdAt: row.created_at,
    endedAt: row.ended_at,
    error: row.error,
  };
}

/** @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (a seeding, or still running) */
export function requireReleasable<Row extends Pick<AuditRow, 'kind' | 'status'>>(
  id: string,
  row: Row | undefined,
): Row {
  if (!row) throw noSuchAudit(id);
  if (row.kind !== 'audit')
    throw new GatewayError('GW_CONFLICT', 'A seeding has no messages to release. Only audits do.');
  if (row.status === 'running') {
    throw new GatewayError('GW_CONFLICT', `Audit "${id}" is still running. Wait until it is over, or cancel it.`);
  }
  return row;
}

interface Targets {
  readonly targets: Iterable<NumberedTarget>;
  readonly requireTarget: (id: string) => NumberedTarget;
}

/** The targets that receive what a release records; `targetIds` null: all that want it. @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
export function receiversOf(
  channel: string,
  targetIds: readonly string[] | null,
  { targets, requireTarget }: Targets,
): ReadonlySet<string> {
  const wants = (target: Target): boolean => subscribes(target, channel, RELEASED) && target.deliver.includes('late');
  const chosen = targetIds
    ? targetIds.map((id) => requireTarget(id).target)
    : [...targets].map(({ target }) => target).filter(wants);
  const refusing = chosen.find((target) => !wants(target));
  if (refusing) {
    throw new GatewayError(
      'GW_CONFLICT',
      `Target "${refusing.id}" does not receive late messages of channel "${channel}". Add "late" to its "deliver" and ` +
        'check its "channels" and "events", or leave it out.',
    );
  }
  if (chosen.length === 0) {
    throw new GatewayError(
      'GW_CONFLICT',
      `No target receives late messages of channel "${channel}". Add "late" to the "deliver" of one.`,
    );
  }
  return new Set(chosen.map(({ id }) => id));
}
