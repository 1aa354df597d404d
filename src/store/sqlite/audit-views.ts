import type { AuditKind, AuditStatus } from '../../model.js';
import { decodeCursor, encodeCursor } from '../rules/ids.js';
import { parseWalk } from './audit-tables.js';
import type { Db } from './database.js';
import { ABOVE_ALL_IDS } from './filters.js';
import type { Condition } from './filters.js';
import { paged } from '../rules/paging.js';
import type { RememberedIds } from './remembered-ids.js';
import { newestRuns } from './run-lists.js';
import type { AuditMessageView, AuditView } from '../audits.js';
import type { RunFilter } from '../filters.js';
import type { Page, PageRequest } from '../paging.js';

interface AuditRow {
  number: number;
  id: string;
  kind: AuditKind;
  channel: string;
  since: number;
  until: number;
  memory_since: number;
  status: AuditStatus;
  walk: string | null;
  listed: number;
  seen: number;
  missing: number;
  older: number;
  seeded: number;
  released: number;
  created_at: number;
  ended_at: number | null;
  error: string | null;
}

type FoundRow = Omit<AuditMessageView, 'firstSeenAt'> & { number: number; key: Buffer };

/** Lists of audits and of the messages that never came; reads only. */
export class AuditViews {
  readonly #db: Db;
  readonly #ids: RememberedIds;

  constructor(db: Db, ids: RememberedIds) {
    this.#db = db;
    this.#ids = ids;
  }

  async audits({ limit, cursor }: PageRequest, { status, channel }: RunFilter<AuditStatus>): Promise<Page<AuditView>> {
    const [before = ABOVE_ALL_IDS] = cursor === null ? [] : decodeCursor(cursor, 1);
    const conditions: (Condition | false)[] = [
      status !== undefined && ['status = ?', status],
      channel !== undefined && ['channel = ?', channel],
    ];
    const rows = await newestRuns<AuditRow>(this.#db, { from: 'audits', conditions }, before, limit + 1);
    return paged(rows, limit, auditView, (row) => encodeCursor(row.number));
  }

  audit(id: string): AuditView | null {
    const row = this.#db.prepare<[string], AuditRow>('SELECT * FROM audits WHERE id = ?').get(id);
    return row ? auditView(row) : null;
  }

  messages(id: string, { limit, cursor }: PageRequest): Page<AuditMessageView> {
    const [sentAt = -1, number = 0] = cursor === null ? [] : decodeCursor(cursor, 2);
    const rows = this.#db
      .prepare<unknown[], FoundRow>(
        `SELECT m.number, m.key, m.message_id AS messageId, m.type, m.chat_id AS chatId, m.sent_at AS sentAt,
           m.found_at AS foundAt, m.released_at AS releasedAt
         FROM audit_messages m
         WHERE m.audit = (SELECT number FROM audits WHERE id = ?) AND (m.sent_at, m.number) > (?, ?)
         ORDER BY m.sent_at, m.number LIMIT ?`,
      )
      .all(id, sentAt, number, limit + 1);
    return paged(
      rows,
      limit,
      (row) => this.#foundView(row),
      (row) => encodeCursor(row.sentAt, row.number),
    );
  }

  #foundView({ key, messageId, type, chatId, sentAt, foundAt, releasedAt }: FoundRow): AuditMessageView {
    const firstSeenAt = this.#ids.find(key)?.firstSeenAt ?? null;
    return { messageId, type, chatId, sentAt, foundAt, releasedAt, firstSeenAt };
  }
}

function auditView(row: AuditRow): AuditView {
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
