import { carriedAt, leastIdSince } from './carried-ids.js';
import type { ItemDetail, MessageView } from '../items.js';
import { evidenceOf, mayBeKept, wasOpenAt } from '../rules/evidence-views.js';
import type { EvidenceParts, EvidenceRow, RegistrationRow } from '../rules/evidence-views.js';
import { itemView, placeOf } from '../rules/item-views.js';
import { messageKey } from '../rules/keys.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import type { Database } from './database.js';
import { keyOf, plainUuid, uuidOf } from './keys.js';
import { endOfIds } from './numbers.js';
import type { SightingRow } from './sightings.js';

interface LedgerRow {
  readonly key: string;
  readonly fingerprint: string | null;
  readonly first_seen_at: number | null;
  readonly last_seen_at: number;
  readonly webhook_id: number | null;
  readonly seeded_at: number | null;
  readonly position: number | null;
  readonly rule: number | null;
  readonly unposted: boolean;
}

const LEDGER = `SELECT key, fingerprint, first_seen_at, last_seen_at, webhook_id, seeded_at, position, rule, unposted
  FROM gateway.ledger WHERE key = ANY($1::uuid[])`;

const KEPT = `SELECT e.webhook_id, e.position, e.recorded_at, e.newest_sent_at, e.newest_received_at, e.sent_at,
    e.late_after_seconds, e.same_as, e.replay_began_at, e.replay_after_seconds
  FROM unnest($1::bigint[], $2::int[]) AS p(webhook_id, position)
    JOIN gateway.evidence e ON e.webhook_id = p.webhook_id AND e.position = p.position`;

const REGISTRATIONS = `SELECT m.key, r.id AS resync, r.created_at AS registered_at, r.deliver_unseen, m.asked_at, m.closes_at
  FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync WHERE m.key = ANY($1::uuid[]) ORDER BY m.resync`;

/** What was recorded at a given time: an item under the same id, otherwise the first webhook of the same event. */
const RECORDED_THEN = `SELECT a.place, f.webhook_id, f.position
  FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
    AS a(place, key, time, channel, event, first, last)
  CROSS JOIN LATERAL (
    SELECT w.id AS webhook_id, s.position
    FROM gateway.webhooks w LEFT JOIN gateway.sightings s ON s.webhook_id = w.id AND s.message_key = a.key AND s.rule <> 10
    WHERE w.received_at = a.time AND w.id >= a.first AND w.id < a.last
      AND (s.position IS NOT NULL OR (w.channel = a.channel AND w.event = a.event))
    ORDER BY s.position IS NULL, w.id, s.position LIMIT 1
  ) f`;

type KeptRow = EvidenceRow & Pick<SightingRow, 'webhook_id' | 'position'>;

/** What is kept for items, by `placeOf`. */
export type Kept = ReadonlyMap<string, EvidenceRow>;

/** Items with the evidence for their verdicts, as far as it is still stored; reads only. */
export class EvidenceViews {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async messages(rows: readonly SightingRow[]): Promise<MessageView[]> {
    const items = await this.items(rows);
    return items.map((item) => ({ ...item, messageId: item.messageId ?? '' }));
  }

  /** @param judged what is kept for items that are only in a trial; left out: they are stored */
  async items(rows: readonly SightingRow[], judged?: Kept): Promise<ItemDetail[]> {
    const [first, kept] = await Promise.all([
      this.ledger(rows.flatMap(({ message_key: key }) => key ?? [])),
      judged ?? this.#kept(rows.filter(({ rule }) => mayBeKept(rule))),
    ]);
    const [registrations, recordedThen] = await Promise.all([
      this.#registrations(rows, kept),
      this.#recordedThen(rows, kept),
    ]);
    return rows.map((row) => ({
      ...itemView(row),
      ...evidenceOf(row, {
        first: (row.message_key === null ? undefined : first.get(plainUuid(row.message_key))) ?? null,
        kept: kept.get(placeOf(row)),
        registrations: openOf(row, kept, registrations),
        recordedThen: recordedThen.get(placeOf(row)),
      }),
    }));
  }

  /** What the ledger remembers of these ids, by their keys as `uuidOf` gives them. */
  async ledger(keys: readonly string[]): Promise<ReadonlyMap<string, LedgerFacts>> {
    if (keys.length === 0) return new Map();
    const rows = await this.#db.all<LedgerRow>(LEDGER, [...new Set(keys)]);
    return new Map(rows.map((row) => [plainUuid(row.key), factsOf(row)]));
  }

  async #kept(rows: readonly SightingRow[]): Promise<Kept> {
    if (rows.length === 0) return new Map();
    const found = await this.#db.all<KeptRow>(
      KEPT,
      rows.map(({ webhook_id: id }) => id),
      rows.map(({ position }) => position),
    );
    return new Map(found.map((row) => [placeOf(row), row]));
  }

  /** By the key of the registered id. */
  async #registrations(rows: readonly SightingRow[], kept: Kept): Promise<ReadonlyMap<string, RegistrationRow[]>> {
    const keys = new Set(rows.flatMap((row) => registeredKeyOf(row, kept) ?? []));
    const found = new Map([...keys].map((key) => [key, new Array<RegistrationRow>()]));
    if (keys.size === 0) return found;
    const all = await this.#db.all<RegistrationRow & { key: string }>(REGISTRATIONS, [...keys]);
    for (const row of all) found.get(plainUuid(row.key))?.push(row);
    return found;
  }

  /** By place of the later item. */
  async #recordedThen(rows: readonly SightingRow[], kept: Kept): Promise<ReadonlyMap<string, Then>> {
    const asked = rows.flatMap((row) => {
      const time = kept.get(placeOf(row))?.recorded_at ?? null;
      return time === null ? [] : [{ row, time }];
    });
    if (asked.length === 0) return new Map();
    const carried = await carriedAt(this.#db);
    const found = await this.#db.all<{ place: string; webhook_id: number; position: number | null }>(
      RECORDED_THEN,
      asked.map(({ row }) => placeOf(row)),
      asked.map(({ row }) => row.message_key),
      asked.map(({ time }) => time),
      asked.map(({ row }) => row.channel),
      asked.map(({ row }) => row.event),
      asked.map(({ time }) => leastIdSince(time, carried)),
      asked.map(({ time }) => endOfIds(time)),
    );
    return new Map(found.map(({ place, webhook_id: webhookId, position }) => [place, { webhookId, position }]));
  }
}

type Then = NonNullable<EvidenceParts['recordedThen']>;

/** The key under which the registration of a restored item is; null: it is not restored. */
function registeredKeyOf(row: SightingRow, kept: Kept): string | null {
  if (row.verdict !== 'restored') return null;
  const sameAs = kept.get(placeOf(row))?.same_as ?? null;
  if (sameAs !== null) return uuidOf(messageKey(row.channel, sameAs));
  return row.message_key === null ? null : plainUuid(row.message_key);
}

function openOf(
  row: SightingRow,
  kept: Kept,
  registrations: ReadonlyMap<string, RegistrationRow[]>,
): RegistrationRow[] {
  const all = registrations.get(registeredKeyOf(row, kept) ?? '') ?? [];
  return all.filter((each) => wasOpenAt(each, row.received_at));
}

function factsOf(row: LedgerRow): LedgerFacts {
  return {
    fingerprint: row.fingerprint === null ? null : keyOf(row.fingerprint),
    firstSeenAt: row.first_seen_at,
    lastSeenAt: row.last_seen_at,
    webhookId: row.webhook_id,
    seededAt: row.seeded_at,
    position: row.position,
    rule: row.rule,
    unposted: row.unposted,
  };
}
