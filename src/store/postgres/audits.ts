import { newId } from '../../effects.js';
import type { AuditStatus, ListedMessage } from '../../model.js';
import { auditRunOf, auditViewOf, inSteps, noSuchAudit } from '../rules/audits.js';
import type { AuditCursor, AuditRow } from '../rules/audits.js';
import { decodeCursor, encodeCursor } from '../rules/ids.js';
import { paged } from '../rules/paging.js';
import type { AuditMessageRelease } from './audit-release.js';
import { AUDIT_COLUMNS, findAudit, recheck, saveWindow } from './audit-rows.js';
import type { LeasedRow } from './audit-rows.js';
import type { Base } from './base.js';
import type { Transaction } from './queries.js';
import { asInteger } from './values.js';
import type {
  AuditLease,
  AuditMessageView,
  AuditRelease,
  AuditRequest,
  AuditRun,
  Audits,
  AuditView,
  AuditWalk,
} from '../audits.js';
import type { RunFilter } from '../filters.js';
import type { Page, PageRequest } from '../paging.js';

/** Keeps the channel's lock short. */
const RECHECKED_PER_STEP = 500;

const INSERT = `INSERT INTO gateway.audits (id, kind, channel, since, until, memory_since, status, created_at)
  VALUES ($1, $2, $3, $4, $5, $6, 'running', $7) RETURNING ${AUDIT_COLUMNS}`;
/** Takes the oldest running audit of each channel, unless another holder has it. What this holder has already keeps its token. */
const TAKE = `UPDATE gateway.audits a SET holder = $1, leased_until = $2::bigint + $3::bigint,
    lease = CASE WHEN a.holder = $1 AND a.leased_until > $2 THEN a.lease ELSE coalesce(a.lease, 0) + 1 END
  FROM (SELECT DISTINCT ON (channel) number FROM gateway.audits WHERE status = 'running' ORDER BY channel, number) o
  WHERE a.number = o.number AND a.status = 'running' AND (a.leased_until <= $2 OR a.holder = $1)
  RETURNING a.id, a.kind, a.channel, a.since, a.until, a.walk, a.lease`;
/** The condition of every change by a run: it is not over, and no other replica has taken it. */
const IF_HELD = "WHERE id = $1 AND lease = $2 AND status = 'running'";
const LIST = `SELECT ${AUDIT_COLUMNS} FROM gateway.audits
  WHERE number < $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR channel = $3) ORDER BY number DESC LIMIT $4`;
const MESSAGES = `SELECT m.number, m.message_id, m.type, m.chat_id, m.sent_at, m.found_at, m.released_at, l.first_seen_at
  FROM gateway.audit_messages m LEFT JOIN gateway.ledger l ON l.key = m.key
  WHERE m.audit = (SELECT number FROM gateway.audits WHERE id = $1) AND (m.sent_at, m.number) > ($2::double precision, $3::bigint)
  ORDER BY m.sent_at, m.number LIMIT $4`;

interface MessageRow {
  readonly number: number;
  readonly message_id: string;
  readonly type: string | null;
  readonly chat_id: string | null;
  readonly sent_at: number;
  readonly found_at: number;
  readonly released_at: number | null;
  readonly first_seen_at: number | null;
}

/** Audits and seedings. A replica leases a run; each step that changes it checks the token of the lease. */
export class PostgresAudits implements Audits {
  readonly #base: Base;
  readonly #release: AuditMessageRelease;

  constructor(base: Base, release: AuditMessageRelease) {
    this.#base = base;
    this.#release = release;
  }

  async begin({ kind, channel, since, until, memorySince }: AuditRequest): Promise<AuditView> {
    const { db, registry, now, effects } = this.#base;
    const id = newId(kind === 'seed' ? 'sed' : 'aud', effects);
    return await db.transaction(async (tx) => {
      await tx.lockChannels([channel]);
      (await registry.in(tx)).requireChannel(channel);
      return viewOf(await tx.one<AuditRow>(INSERT, ...[id, kind, channel, since, until, memorySince, now()]), id);
    });
  }

  async take(holder: string, leaseMs: number): Promise<AuditRun[]> {
    const { db, registry, now } = this.#base;
    const [{ channels }, rows] = await Promise.all([
      registry.current(),
      db.transaction(async (tx) => await tx.all<LeasedRow & { lease: number }>(TAKE, holder, now(), leaseMs)),
    ]);
    return rows.flatMap((row) => {
      const channel = channels.get(row.channel);
      return channel ? [{ ...auditRunOf(row, channel), lease: row.lease }] : [];
    });
  }

  async noteWindow(run: AuditLease, messages: readonly ListedMessage[], walk: AuditWalk): Promise<boolean> {
    const save = async (tx: Transaction) => await saveWindow(tx, run, messages, walk, this.#base.now());
    return (await this.#withChannelOf(run.id, save)) ?? false;
  }

  async noteTrouble({ id, lease }: AuditLease, reason: string): Promise<boolean> {
    return (await this.#base.db.run(`UPDATE gateway.audits SET error = $3 ${IF_HELD}`, id, lease, reason)) > 0;
  }

  async end(run: AuditLease, error: string | null): Promise<boolean> {
    await inSteps(async (after) => {
      const next = async (tx: Transaction) => await recheck(tx, run, after, RECHECKED_PER_STEP);
      return (await this.#withChannelOf(run.id, next)) ?? null;
    });
    const ended = await this.#base.db.run(
      `UPDATE gateway.audits SET status = $3, error = $4, ended_at = $5 ${IF_HELD}`,
      ...[run.id, run.lease, error === null ? 'finished' : 'failed', error, this.#base.now()],
    );
    return ended > 0;
  }

  async cancel(id: string): Promise<AuditView> {
    const { db, now } = this.#base;
    await db.run(
      "UPDATE gateway.audits SET status = 'cancelled', ended_at = $1 WHERE id = $2 AND status = 'running'",
      now(),
      id,
    );
    return viewOf(await findAudit(db, id), id);
  }

  async release(id: string, targetIds: readonly string[] | null, dryRun: boolean): Promise<AuditRelease> {
    const total = { messages: 0, cameMeanwhile: 0, deliveries: 0 };
    const form = await this.#release.formFor(id);
    await inSteps(async (after: AuditCursor) => {
      const released = await this.#release.step({ id, targetIds, dryRun }, form, after);
      total.messages += released.messages;
      total.cameMeanwhile += released.cameMeanwhile;
      total.deliveries += released.deliveries;
      return released.next;
    });
    return total;
  }

  async list({ limit, cursor }: PageRequest, filter: RunFilter<AuditStatus> = {}): Promise<Page<AuditView>> {
    const [before = Infinity] = cursor === null ? [] : decodeCursor(cursor, 1);
    const { status = null, channel = null } = filter;
    const rows = await this.#base.db.all<AuditRow>(LIST, asInteger(before), status, channel, limit + 1);
    return paged(rows, limit, auditViewOf, ({ number }) => encodeCursor(number));
  }

  async get(id: string): Promise<AuditView | null> {
    const row = await findAudit(this.#base.db, id);
    return row ? auditViewOf(row) : null;
  }

  async messages(id: string, { limit, cursor }: PageRequest): Promise<Page<AuditMessageView>> {
    const [sentAt = -1, number = 0] = cursor === null ? [] : decodeCursor(cursor, 2);
    const rows = await this.#base.db.all<MessageRow>(MESSAGES, id, sentAt, number, limit + 1);
    return paged(rows, limit, messageView, (row) => encodeCursor(row.sent_at, row.number));
  }

  /** Runs work in a transaction that holds the lock of the audit's channel. Undefined: there is no such audit. */
  async #withChannelOf<T>(id: string, work: (tx: Transaction) => Promise<T>): Promise<T | undefined> {
    const audit = await findAudit(this.#base.db, id);
    if (!audit) return undefined;
    return await this.#base.db.transaction(async (tx) => {
      await tx.lockChannels([audit.channel]);
      return await work(tx);
    });
  }
}

/** @throws GatewayError GW_NOT_FOUND */
function viewOf(row: AuditRow | undefined, id: string): AuditView {
  if (!row) throw noSuchAudit(id);
  return auditViewOf(row);
}

function messageView(row: MessageRow): AuditMessageView {
  return {
    ...{ messageId: row.message_id, type: row.type, chatId: row.chat_id, sentAt: row.sent_at },
    ...{ foundAt: row.found_at, releasedAt: row.released_at, firstSeenAt: row.first_seen_at },
  };
}
