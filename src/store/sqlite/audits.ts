import { GatewayError } from '../../errors.js';
import { PLACEHOLDER_TYPE } from '../../model.js';
import type { AuditKind, Channel, ListedMessage } from '../../model.js';
import { messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import type { SqliteRegistry } from './registry.js';
import type { AuditRequest, AuditRun, AuditWalk } from '../audits.js';

interface AuditRow {
  number: number;
  id: string;
  kind: AuditKind;
  channel: string;
  since: number;
  until: number;
  memory_since: number;
  status: string;
  walk: string | null;
}

/** A place among the messages of an audit, which stand in order of time. */
export interface Place {
  readonly sentAt: number;
  readonly number: number;
}

export const FIRST_PLACE: Place = { sentAt: -1, number: 0 };

/** What one window adds to the counts. */
interface Tally {
  listed: number;
  seen: number;
  missing: number;
  older: number;
  seeded: number;
}

/** Audits and seedings, from their beginning to their end. For use inside a transaction. */
export class SqliteAudits {
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #row;
  readonly #firstSeen;
  readonly #keep;
  readonly #seed;
  readonly #resetCounts;
  readonly #note;

  constructor(db: Db, registry: SqliteRegistry) {
    this.#db = db;
    this.#registry = registry;
    this.#row = db.prepare<[string], AuditRow>('SELECT * FROM audits WHERE id = ?');
    this.#firstSeen = db.prepare<[Buffer]>('SELECT 1 FROM ledger WHERE key = ? AND first_seen_at IS NOT NULL').pluck();
    this.#keep = db.prepare(
      `INSERT INTO audit_messages (audit, round, key, message_id, type, chat_id, sent_at, json, found_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key, audit) DO UPDATE SET round = excluded.round, json = excluded.json`,
    );
    this.#seed = db.prepare(
      'INSERT INTO ledger (key, last_seen_at, seeded_at) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING',
    );
    this.#resetCounts = db.prepare('UPDATE audits SET listed = 0, seen = 0, missing = 0, older = 0 WHERE number = ?');
    this.#note = db.prepare<Tally & { walk: string; number: number }>(
      `UPDATE audits SET walk = @walk, error = NULL, listed = listed + @listed, seen = seen + @seen,
         missing = missing + @missing, older = older + @older, seeded = seeded + @seeded WHERE number = @number`,
    );
  }

  /** @throws GatewayError GW_NOT_FOUND */
  begin({ kind, channel, since, until, memorySince }: AuditRequest, id: string, now: number): void {
    this.#registry.mustHaveChannel(channel);
    this.#db
      .prepare(
        `INSERT INTO audits (id, kind, channel, since, until, memory_since, status, created_at)
         VALUES (?, ?, ?, ?, ?, ?, 'running', ?)`,
      )
      .run(id, kind, channel, since, until, memorySince, now);
  }

  running(): AuditRun[] {
    const oldest = this.#db.prepare<[string], AuditRow>(
      "SELECT * FROM audits WHERE channel = ? AND status = 'running' ORDER BY number LIMIT 1",
    );
    return [...this.#registry.channels().values()].flatMap((channel) => {
      const row = oldest.get(channel.name);
      return row ? [runOf(row, channel)] : [];
    });
  }

  noteWindow(id: string, listed: readonly ListedMessage[], walk: AuditWalk, now: number): void {
    const row = this.#row.get(id);
    if (row?.status !== 'running') return;
    if (row.walk !== null && walkOf(row.walk).round !== walk.round) this.#resetCounts.run(row.number);
    const messages = listed.filter(({ type }) => type !== PLACEHOLDER_TYPE); // Whapi does not have those either
    const tally: Tally = { listed: messages.length, seen: 0, missing: 0, older: 0, seeded: 0 };
    for (const message of messages) {
      const key = messageKey(row.channel, message.id);
      tally[row.kind === 'seed' ? this.#seedOne(key, now) : this.#compareOne(row, key, message, walk.round, now)] += 1;
    }
    this.#note.run({ ...tally, walk: JSON.stringify(walk), number: row.number });
  }

  #seedOne(key: Buffer, now: number): 'seeded' | 'seen' {
    return this.#seed.run(key, now, now).changes > 0 ? 'seeded' : 'seen';
  }

  #compareOne(
    row: AuditRow,
    key: Buffer,
    message: ListedMessage,
    round: number,
    now: number,
  ): 'seen' | 'older' | 'missing' {
    if (this.#firstSeen.get(key) !== undefined) return 'seen';
    if (message.timestamp < Math.floor(row.memory_since / 1000)) return 'older';
    const { id, type, chatId, timestamp, json } = message;
    this.#keep.run(row.number, round, key, id, type, chatId, timestamp, json, now);
    return 'missing';
  }

  noteTrouble(id: string, words: string): void {
    this.#db.prepare("UPDATE audits SET error = ? WHERE id = ? AND status = 'running'").run(words, id);
  }

  /**
   * Looks at some of the messages that never came, behind `after`, once more: what was on its way when the list was read
   * has come by now. Those that only an earlier round found go. Returns the last one looked at; null: there are no more.
   */
  recheck(id: string, after: Place, limit: number): Place | null {
    const row = this.#row.get(id);
    if (row?.status !== 'running') return null;
    const rows = this.#db
      .prepare<unknown[], { number: number; round: number; sentAt: number; isSeen: number }>(
        `SELECT m.number, m.round, m.sent_at AS sentAt,
           EXISTS (SELECT 1 FROM ledger l WHERE l.key = m.key AND l.first_seen_at IS NOT NULL) AS isSeen
         FROM audit_messages m WHERE m.audit = ? AND (m.sent_at, m.number) > (?, ?)
         ORDER BY m.sent_at, m.number LIMIT ?`,
      )
      .all(row.number, after.sentAt, after.number, limit);
    const round = row.walk === null ? 1 : walkOf(row.walk).round;
    const came = rows.filter((found) => found.round === round && found.isSeen === 1);
    const remove = this.#db.prepare('DELETE FROM audit_messages WHERE number = ?');
    for (const found of rows) if (found.isSeen === 1 || found.round !== round) remove.run(found.number);
    this.#db
      .prepare('UPDATE audits SET seen = seen + ?, missing = missing - ? WHERE number = ?')
      .run(came.length, came.length, row.number);
    return rows.length === limit ? (rows.at(-1) ?? null) : null;
  }

  end(id: string, error: string | null, now: number): void {
    this.#db
      .prepare("UPDATE audits SET status = ?, error = ?, ended_at = ? WHERE id = ? AND status = 'running'")
      .run(error === null ? 'finished' : 'failed', error, now, id);
  }

  /** @throws GatewayError GW_NOT_FOUND */
  cancel(id: string, now: number): void {
    if (!this.#row.get(id)) throw noSuchAudit(id);
    this.#db
      .prepare("UPDATE audits SET status = 'cancelled', ended_at = ? WHERE id = ? AND status = 'running'")
      .run(now, id);
  }

  cancelAllOf(channel: string, now: number): void {
    this.#db
      .prepare("UPDATE audits SET status = 'cancelled', ended_at = ? WHERE channel = ? AND status = 'running'")
      .run(now, channel);
  }
}

export function noSuchAudit(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no audit "${id}".`);
}

export function walkOf(text: string): AuditWalk {
  return JSON.parse(text) as AuditWalk;
}

function runOf(row: AuditRow, channel: Channel): AuditRun {
  const { id, kind, since, until } = row;
  return { id, kind, channel, since, until, walk: row.walk === null ? null : walkOf(row.walk) };
}
