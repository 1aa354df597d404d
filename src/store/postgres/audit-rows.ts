import { PLACEHOLDER_TYPE } from '../../model.js';
import type { ListedMessage } from '../../model.js';
import { comparisonOf, roundOf } from '../rules/audits.js';
import type { AuditCursor, AuditRow, WindowCounts } from '../rules/audits.js';
import { messageKey } from '../rules/keys.js';
import { JoinedBytes } from './joined-bytes.js';
import { plainUuid, uuidOf } from './keys.js';
import type { Queries, Transaction } from './queries.js';
import type { AuditLease, AuditWalk } from '../audits.js';

/** A row with the token of its lease; null: no replica has taken it. */
export type LeasedRow = AuditRow & { readonly lease: number | null };

export const AUDIT_COLUMNS = `number, id, kind, channel, since, until, memory_since, status, walk, listed, seen, missing, older, seeded,
  released, created_at, ended_at, error, lease`;

const FIND = `SELECT ${AUDIT_COLUMNS} FROM gateway.audits WHERE id = $1`;

const SAVE_WINDOW = `UPDATE gateway.audits SET walk = $2, error = NULL,
    listed = CASE WHEN $3 THEN 0 ELSE listed END + $4::int, seen = CASE WHEN $3 THEN 0 ELSE seen END + $5::int,
    missing = CASE WHEN $3 THEN 0 ELSE missing END + $6::int, older = CASE WHEN $3 THEN 0 ELSE older END + $7::int,
    seeded = seeded + $8::int
  WHERE number = $1`;

const INSERT_MISSING = `INSERT INTO gateway.audit_messages (audit, round, key, message_id, type, chat_id, sent_at, json, found_at)
  SELECT $1::int, $2::int, m.key, m.message_id, m.type, m.chat_id, m.sent_at, substring($3::bytea FROM m.start FOR m.length), $4::bigint
  FROM unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::double precision[], $10::int[], $11::int[])
    WITH ORDINALITY AS m (key, message_id, type, chat_id, sent_at, start, length, place) ORDER BY m.place
  ON CONFLICT (key, audit) DO UPDATE SET round = excluded.round, json = excluded.json`;

const SEED = `INSERT INTO gateway.ledger (key, last_seen_at, seeded_at, unposted)
  SELECT key, $2::bigint, $2::bigint, false FROM unnest($1::uuid[]) AS k (key) ORDER BY key ON CONFLICT (key) DO NOTHING`;

const RECHECK = `SELECT m.number, m.round, m.sent_at, l.first_seen_at IS NOT NULL AS seen
  FROM gateway.audit_messages m LEFT JOIN gateway.ledger l ON l.key = m.key
  WHERE m.audit = $1 AND (m.sent_at, m.number) > ($2::double precision, $3::bigint) ORDER BY m.sent_at, m.number LIMIT $4`;

/** Undefined: there is none. */
export async function findAudit(queries: Queries, id: string): Promise<AuditRow | undefined> {
  return await queries.one<AuditRow>(FIND, id);
}

/**
 * Locks the row of a running audit until the end of the transaction, so that no other replica takes it. Null: it is over, or
 * another replica has taken it since.
 */
async function lockRun(tx: Transaction, { id, lease }: AuditLease): Promise<LeasedRow | null> {
  const row = await tx.one<LeasedRow>(`${FIND} FOR UPDATE`, id);
  return row?.status === 'running' && row.lease === lease ? row : null;
}

/** See `Audits.noteWindow`. For use in a transaction that holds the lock of the audit's channel. */
export async function saveWindow(
  tx: Transaction,
  run: AuditLease,
  listed: readonly ListedMessage[],
  walk: AuditWalk,
  now: number,
): Promise<boolean> {
  const row = await lockRun(tx, run);
  if (!row) return false;
  const messages = listed
    .filter(({ type }) => type !== PLACEHOLDER_TYPE) // Whapi could not read those messages either
    .map((message) => ({ message, key: uuidOf(messageKey(row.channel, message.id)) }));
  const known = await knownIds(
    tx,
    messages.map(({ key }) => key),
  );
  const counts: WindowCounts = { listed: messages.length, seen: 0, missing: 0, older: 0, seeded: 0 };
  const found = new Map<string, ListedMessage>();
  for (const { message, key } of messages) {
    const isSeen = known.get(key) ?? false;
    const kind = row.kind === 'seed' ? (known.has(key) ? 'seen' : 'seeded') : comparisonOf(row, message, isSeen);
    counts[kind] += 1;
    if (kind === 'seeded') known.set(key, false);
    if (kind === 'missing' || kind === 'seeded') found.set(key, message);
  }
  if (row.kind === 'seed') await tx.run(SEED, [...found.keys()], now);
  else if (found.size > 0) await insertMissing(tx, row.number, walk.round, found, now);
  const isNewRound = row.walk !== null && roundOf(row) !== walk.round;
  const { seen, missing, older, seeded } = counts;
  await tx.run(
    SAVE_WINDOW,
    ...[row.number, JSON.stringify(walk), isNewRound, counts.listed, seen, missing, older, seeded],
  );
  return true;
}

/** By key: whether a webhook carried the message; an id that the ledger does not know is left out. */
async function knownIds(queries: Queries, keys: readonly string[]): Promise<Map<string, boolean>> {
  const rows = await queries.all<{ key: string; seen: boolean }>(
    'SELECT key, first_seen_at IS NOT NULL AS seen FROM gateway.ledger WHERE key = ANY($1::uuid[])',
    keys,
  );
  return new Map(rows.map(({ key, seen }) => [plainUuid(key), seen]));
}

async function insertMissing(
  tx: Transaction,
  audit: number,
  round: number,
  found: ReadonlyMap<string, ListedMessage>,
  now: number,
): Promise<void> {
  const messages = [...found.values()];
  const jsons = new JoinedBytes();
  const starts = messages.map(({ json }) => jsons.add(json));
  await tx.run(
    INSERT_MISSING,
    ...[audit, round, jsons.all(), now],
    [...found.keys()],
    messages.map(({ id }) => id),
    messages.map(({ type }) => type),
    messages.map(({ chatId }) => chatId),
    messages.map(({ timestamp }) => timestamp),
    starts,
    messages.map(({ json }) => json.length),
  );
}

/**
 * Checks the next `limit` missing messages again: a webhook that was on its way when the list was read has come by now.
 * Messages that only an earlier round found are deleted. Returns the new cursor; null: none are left. For use in a
 * transaction that holds the lock of the audit's channel.
 */
export async function recheck(
  tx: Transaction,
  run: AuditLease,
  after: AuditCursor,
  limit: number,
): Promise<AuditCursor | null> {
  const row = await lockRun(tx, run);
  if (!row) return null;
  const rows = await tx.all<{ number: number; round: number; sent_at: number; seen: boolean }>(
    RECHECK,
    ...[row.number, after.sentAt, after.number, limit],
  );
  const round = roundOf(row);
  const came = rows.filter((found) => found.round === round && found.seen).length;
  const gone = rows.filter((found) => found.round !== round || found.seen).map(({ number }) => number);
  await Promise.all([
    tx.run('DELETE FROM gateway.audit_messages WHERE number = ANY($1::bigint[])', gone),
    tx.run('UPDATE gateway.audits SET seen = seen + $2, missing = missing - $2 WHERE number = $1', row.number, came),
  ]);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return last ? { sentAt: last.sent_at, number: last.number } : null;
}

/** Cancels at most `limit` running audits of a removed channel. Returns whether more may be left. */
export async function cancelAuditsOf(tx: Transaction, channel: string, limit: number, now: number): Promise<boolean> {
  const changed = await tx.run(
    `UPDATE gateway.audits SET status = 'cancelled', ended_at = $1 WHERE number = ANY(ARRAY(
       SELECT number FROM gateway.audits WHERE channel = $2 AND status = 'running' ORDER BY number LIMIT $3))`,
    ...[now, channel, limit],
  );
  return changed === limit;
}
