import { PLACEHOLDER_TYPE } from '../../model.js';
import type { ListedMessage } from '../../model.js';
import { auditRunOf, comparisonOf, noSuchAudit, roundOf } from '../rules/audits.js';
import type { AuditCursor, AuditRow, WindowCounts } from '../rules/audits.js';
import { messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import { NEVER_SEEN } from '../rules/ledger-facts.js';
import type { RegistryTables } from './registry-tables.js';
import type { RememberedIds } from './remembered-ids.js';
import type { AuditRequest, AuditRun, AuditWalk } from '../audits.js';

type StoredRow = Pick<
  AuditRow,
  'number' | 'id' | 'kind' | 'channel' | 'since' | 'until' | 'memory_since' | 'status' | 'walk'
>;

/** Audits and seedings, from start to end. Methods that write are for use inside a transaction. */
export class AuditTables {
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #row;
  readonly #ids: RememberedIds;
  readonly #insertMissing;
  readonly #resetCounts;
  readonly #saveWindow;

  constructor(db: Db, registry: RegistryTables, ids: RememberedIds) {
    this.#db = db;
    this.#registry = registry;
    this.#row = db.prepare<[string], StoredRow>('SELECT * FROM audits WHERE id = ?');
    this.#ids = ids;
    this.#insertMissing = db.prepare(
      `INSERT INTO audit_messages (audit, round, key, message_id, type, chat_id, sent_at, json, found_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key, audit) DO UPDATE SET round = excluded.round, json = excluded.json`,
    );
    this.#resetCounts = db.prepare('UPDATE audits SET listed = 0, seen = 0, missing = 0, older = 0 WHERE number = ?');
    this.#saveWindow = db.prepare<WindowCounts & { walk: string; number: number }>(
      `UPDATE audits SET walk = @walk, error = NULL, listed = listed + @listed, seen = seen + @seen,
         missing = missing + @missing, older = older + @older, seeded = seeded + @seeded WHERE number = @number`,
    );
  }

  /** @throws GatewayError GW_NOT_FOUND */
  insert({ kind, channel, since, until, memorySince }: AuditRequest, id: string, now: number): void {
    this.#registry.requireChannel(channel);
    this.#db
      .prepare(
        `INSERT INTO audits (id, kind, channel, since, until, memory_since, status, created_at)
         VALUES (?, ?, ?, ?, ?, ?, 'running', ?)`,
      )
      .run(id, kind, channel, since, until, memorySince, now);
  }

  /** A read: the oldest running audit or seeding of each channel. */
  running(): Omit<AuditRun, 'lease'>[] {
    const oldest = this.#db.prepare<[string], StoredRow>(
      "SELECT * FROM audits WHERE channel = ? AND status = 'running' ORDER BY number LIMIT 1",
    );
    return [...this.#registry.channels().values()].flatMap((channel) => {
      const row = oldest.get(channel.name);
      return row ? [auditRunOf(row, channel)] : [];
    });
  }

  /** See `Audits.noteWindow`. Returns false if the audit is over. */
  saveWindow(id: string, listed: readonly ListedMessage[], walk: AuditWalk, now: number): boolean {
    const row = this.#row.get(id);
    if (row?.status !== 'running') return false;
    if (row.walk !== null && roundOf(row) !== walk.round) this.#resetCounts.run(row.number);
    const messages = listed.filter(({ type }) => type !== PLACEHOLDER_TYPE); // Whapi could not read those messages either
    const counts: WindowCounts = { listed: messages.length, seen: 0, missing: 0, older: 0, seeded: 0 };
    for (const message of messages) {
      const key = messageKey(row.channel, message.id);
      counts[row.kind === 'seed' ? this.#seedOne(key, now) : this.#compareOne(row, key, message, walk.round, now)] += 1;
    }
    this.#saveWindow.run({ ...counts, walk: JSON.stringify(walk), number: row.number });
    return true;
  }

  #seedOne(key: Buffer, now: number): 'seeded' | 'seen' {
    if (this.#ids.find(key)) return 'seen';
    this.#ids.insert(key, { ...NEVER_SEEN, lastSeenAt: now, seededAt: now });
    return 'seeded';
  }

  #compareOne(
    row: StoredRow,
    key: Buffer,
    message: ListedMessage,
    round: number,
    now: number,
  ): 'seen' | 'older' | 'missing' {
    const found = comparisonOf(row, message, this.#ids.wasSeen(key));
    const { id, type, chatId, timestamp, json } = message;
    if (found === 'missing') this.#insertMissing.run(row.number, round, key, id, type, chatId, timestamp, json, now);
    return found;
  }

  /** Saves why the audit makes no progress. Returns false if it is over. */
  saveError(id: string, reason: string): boolean {
    const save = this.#db.prepare("UPDATE audits SET error = ? WHERE id = ? AND status = 'running'");
    return save.run(reason, id).changes > 0;
  }

  /**
   * Checks the next `limit` missing messages again: a webhook that was on its way when the list was read has come by now.
   * Messages that only an earlier round found are deleted. Returns the new cursor; null: none are left.
   */
  recheck(id: string, after: AuditCursor, limit: number): AuditCursor | null {
    const row = this.#row.get(id);
    if (row?.status !== 'running') return null;
    const rows = this.#db
      .prepare<unknown[], { number: number; round: number; key: Buffer; sentAt: number }>(
        `SELECT m.number, m.round, m.key, m.sent_at AS sentAt
         FROM audit_messages m WHERE m.audit = ? AND (m.sent_at, m.number) > (?, ?)
         ORDER BY m.sent_at, m.number LIMIT ?`,
      )
      .all(row.number, after.sentAt, after.number, limit)
      .map((found) => ({ ...found, isSeen: this.#ids.wasSeen(found.key) }));
    const round = roundOf(row);
    const came = rows.filter((found) => found.round === round && found.isSeen);
    const remove = this.#db.prepare('DELETE FROM audit_messages WHERE number = ?');
    for (const found of rows) if (found.isSeen || found.round !== round) remove.run(found.number);
    this.#db
      .prepare('UPDATE audits SET seen = seen + ?, missing = missing - ? WHERE number = ?')
      .run(came.length, came.length, row.number);
    return rows.length === limit ? (rows.at(-1) ?? null) : null;
  }

  /** Returns false if it was over already. */
  end(id: string, error: string | null, now: number): boolean {
    const end = this.#db.prepare(
      "UPDATE audits SET status = ?, error = ?, ended_at = ? WHERE id = ? AND status = 'running'",
    );
    return end.run(error === null ? 'finished' : 'failed', error, now, id).changes > 0;
  }

  /** @throws GatewayError GW_NOT_FOUND */
  cancel(id: string, now: number): void {
    if (!this.#row.get(id)) throw noSuchAudit(id);
    this.#db
      .prepare("UPDATE audits SET status = 'cancelled', ended_at = ? WHERE id = ? AND status = 'running'")
      .run(now, id);
  }

  /** Cancels at most `limit` running audits of a removed channel. Returns whether more may be left. */
  cancelSomeOf(channel: string, limit: number, now: number): boolean {
    const { changes } = this.#db
      .prepare(
        `UPDATE audits SET status = 'cancelled', ended_at = ? WHERE number IN (
           SELECT number FROM audits WHERE channel = ? AND status = 'running' ORDER BY number LIMIT ?)`,
      )
      .run(now, channel, limit);
    return changes === limit;
  }
}
