import { factsFor, isOlderThan, isPaced, leftOutAs } from '../../intake/backlog.js';
import type { Verdict } from '../../model.js';
import { rankOf } from '../rules/pace.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import { BODIES, chatFactsOf } from './chat-facts.js';
import type { DeliveryBody } from './chat-facts.js';
import type { Database } from './database.js';
import type { Queries, Transaction } from './queries.js';
import { LOCK_TO_SORT, TO_SORT } from './due-deliveries.js';
import type { Base } from './base.js';
import type { RegistryCache } from './registry-cache.js';
import type { ClaimWant, WantedFacts } from '../outbox.js';

interface SortedRow {
  readonly target: number;
  readonly id: number;
  readonly channel: string;
  readonly lanes: string[];
  readonly verdicts: string;
  readonly newest_message_at: number | null;
  readonly resume_at: number | null;
  readonly created_at: number;
  readonly due_at: number;
}

/** A due delivery that is backlog. */
interface Paced {
  readonly row: SortedRow;
  readonly found: NumberedTarget;
  /** The facts of its chats that decide whether it is sent at all; null: none of them does. */
  readonly wanted: WantedFacts | null;
}

/** Due deliveries of a target that one claim sorts, and how many of their chats it examines: some milliseconds each. */
const SORTED_PER_CLAIM = 500;
const LOOKED_AT_PER_CLAIM = 50;
/** Chats of a delivery whose newest message counts. */
const MOST_CHATS_RANKED = 100;

const NEWEST = `SELECT d.id, max(c.newest_at) AS newest_at
  FROM unnest($1::bigint[]) AS d(id) JOIN gateway.queue q ON q.id = d.id
    CROSS JOIN LATERAL unnest(q.lanes[1:${MOST_CHATS_RANKED}]) AS k(lane)
    JOIN gateway.chats c ON c.key = k.lane
  GROUP BY d.id`;

const RANK = `UPDATE gateway.queue q SET due_at = r.rank FROM unnest($1::bigint[], $2::bigint[]) AS r(id, rank) WHERE q.id = r.id`;

const PUT_BACK = 'UPDATE gateway.queue q SET due_at = $2 WHERE q.id = ANY($1::bigint[])';

const NONE: ReadonlySet<number> = new Set();

/**
 * The backlog of targets with a pace. A delivery that becomes due and is backlog gets a rank in place of its due time
 * (rules/pace.ts), so that what is live is found at once, however long the backlog is. A claim takes the first of them when
 * the pace lets one out. A new message of its chat makes a ranked delivery due, and so gives it a new rank; one that is
 * recorded while its chat is being ranked does not count.
 */
export class PacedDeliveries {
  readonly #db: Database;
  readonly #registry: RegistryCache;

  constructor({ db, registry }: Base) {
    this.#db = db;
    this.#registry = registry;
  }

  /**
   * Ranks the due deliveries that have to wait. Returns the ids of the backlog that does not: what a person has retried, and
   * what the target's settings will leave out.
   */
  async sort(wants: readonly ClaimWant[], now: number): Promise<ReadonlySet<number>> {
    const paced = wants.filter(({ backlog }) => backlog !== undefined);
    if (paced.length === 0) return NONE;
    const { targets } = await this.#registry.current();
    const byNumber = new Map(
      paced.flatMap(({ targetId }) => {
        const found = targets.get(targetId);
        return found ? [[found.number, found] as const] : [];
      }),
    );
    const rows = await Promise.all(
      TO_SORT.map(async (sql) => await this.#db.all<SortedRow>(sql, [...byNumber.keys()], now, SORTED_PER_CLAIM)),
    );
    const found = pacedOf(rows.flat(), byNumber, now);
    if (found.length === 0) return NONE;
    const ids = found.map(({ row }) => row.id);
    return await this.#db.transaction(async (tx) => {
      const locked = new Set((await tx.all<{ id: number }>(LOCK_TO_SORT, ids, now)).map(({ id }) => id));
      const ours = found.filter(({ row }) => locked.has(row.id));
      return await sorted(tx, ours, now);
    });
  }
}

/** What is backlog, with the facts that this claim looks at. */
function pacedOf(rows: readonly SortedRow[], targets: ReadonlyMap<number, NumberedTarget>, now: number): Paced[] {
  const lookedAt = new Map<number, number>();
  const paced: Paced[] = [];
  for (const row of rows) {
    const found = targets.get(row.target);
    const content = contentOf(row);
    if (!found || !isPaced(content, found.target, now)) continue;
    const wanted = factsFor(content, found.target, now);
    const looked = (lookedAt.get(row.target) ?? 0) + (wanted ? 1 : 0);
    lookedAt.set(row.target, looked);
    // What is not examined now waits for its turn, so that nothing live waits behind it. If it is left out then, it takes none.
    paced.push({ row, found, wanted: looked > LOOKED_AT_PER_CLAIM ? null : wanted });
  }
  return paced;
}

/** Ranks those that wait. Returns the ids of the others. */
async function sorted(tx: Transaction, paced: readonly Paced[], now: number): Promise<ReadonlySet<number>> {
  if (paced.length === 0) return NONE;
  const leftOut = await leftOutOf(tx, paced, now);
  const isLetThrough = ({ row }: Paced): boolean => row.resume_at !== null || leftOut.has(row.id);
  const letThrough = paced.filter(isLetThrough).map(({ row }) => row);
  const ranked = paced.filter((each) => !isLetThrough(each)).map(({ row }) => row);
  // Moves each behind what is live now, once: a chat may have thousands, and as each ends, the next one becomes due.
  const putBack = letThrough.filter((row) => row.due_at <= row.created_at).map(({ id }) => id);
  await Promise.all([
    ranked.length > 0 ? rank(tx, ranked, now) : undefined,
    putBack.length > 0 ? tx.run(PUT_BACK, putBack, now) : undefined,
  ]);
  return new Set(letThrough.map(({ id }) => id));
}

async function rank(tx: Transaction, rows: readonly SortedRow[], now: number): Promise<void> {
  const ids = rows.map(({ id }) => id);
  const newest = new Map(
    (await tx.all<{ id: number; newest_at: number }>(NEWEST, ids)).map(({ id, newest_at: at }) => [id, at]),
  );
  await tx.run(
    RANK,
    ids,
    rows.map(({ id, newest_message_at: own }) => rankOf(Math.max(own ?? 0, newest.get(id) ?? 0), now)),
  );
}

/** Those that the settings of their target will leave out. Facts of chats are read at once for all. */
async function leftOutOf(queries: Queries, paced: readonly Paced[], now: number): Promise<ReadonlySet<number>> {
  const tooOld = paced.filter(({ row, found }) => isTooOld(row, found, now)).map(({ row }) => row.id);
  const leftOut = new Set(tooOld);
  const asked = paced.filter(({ row, wanted }) => wanted && row.resume_at === null && !leftOut.has(row.id));
  const bodies = new Map<number, DeliveryBody>();
  if (asked.length > 0) {
    const ids = asked.map(({ row }) => row.id);
    for (const body of await queries.all<Omit<DeliveryBody, 'channel'>>(BODIES, ids))
      bodies.set(body.id, { ...body, channel: paced.find(({ row }) => row.id === body.id)?.row.channel ?? '' });
  }
  await Promise.all(
    asked.map(async ({ row, found, wanted }) => {
      const body = bodies.get(row.id);
      if (!body || !wanted) return;
      const facts = await chatFactsOf(queries, body, wanted);
      if (leftOutAs(contentOf(row), found.target, facts, now) !== null) leftOut.add(row.id);
    }),
  );
  return leftOut;
}

function isTooOld({ newest_message_at: newestAt }: SortedRow, { target }: NumberedTarget, now: number): boolean {
  return newestAt !== null && target.maxAgeSeconds !== null && isOlderThan(newestAt, target.maxAgeSeconds, now);
}

function contentOf({ verdicts, newest_message_at: newestMessageAt }: SortedRow) {
  return { verdicts: verdicts.split(',') as Verdict[], newestMessageAt };
}
