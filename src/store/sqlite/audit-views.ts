import type { AuditStatus } from '../../model.js';
import { decodeCursor, encodeCursor } from '../rules/ids.js';
import { auditViewOf } from '../rules/audits.js';
import type { AuditRow } from '../rules/audits.js';
import type { Db } from './database.js';
import { ABOVE_ALL_IDS } from './filters.js';
import type { Condition } from './filters.js';
import { paged } from '../rules/paging.js';
import type { RememberedIds } from './remembered-ids.js';
import { newestRuns } from './run-lists.js';
import type { AuditMessageView, AuditView } from '../audits.js';
import type { RunFilter } from '../filters.js';
import type { Page, PageRequest } from '../paging.js';

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
    return paged(rows, limit, auditViewOf, (row) => encodeCursor(row.number));
  }

  audit(id: string): AuditView | null {
    const row = this.#db.prepare<[string], AuditRow>('SELECT * FROM audits WHERE id = ?').get(id);
    return row ? auditViewOf(row) : null;
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
