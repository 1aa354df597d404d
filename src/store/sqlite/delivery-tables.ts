import { GatewayError } from '../../errors.js';
import { isLeftOut } from '../rules/held-items.js';
import type { DeliveryStatus } from '../../model.js';
import { finish, WRITES_PER_SLICE } from '../../slices.js';
import type { Sliced } from '../../slices.js';
import { attemptsAfter, historyAfter, scheduleAfterFailure } from '../rules/attempts.js';
import { parseDeliveryId } from '../rules/ids.js';
import type { Ids } from './numbering.js';
import { KEY_BYTES, keysIn } from '../rules/keys.js';
import { RANKS_FROM } from '../rules/pace.js';
import type { NewDelivery } from '../rules/recording.js';
import type { Db } from './database.js';
import { DeliveryMemory } from './delivery-memory.js';
import { Lanes } from './lanes.js';
import type { Lease, Leases } from './leases.js';
import { HeldItems } from './held-items.js';
import { LeftOutItems } from './left-out-items.js';
import { MetaTable } from './meta.js';
import type { RegistryTables } from './registry-tables.js';
import type { TargetCounts } from './target-counts.js';
import type { Settlement } from '../outbox.js';

const LANE_BYTES_PER_SLICE = WRITES_PER_SLICE * KEY_BYTES;

/** What a settlement adds to. */
interface HistoryRow {
  readonly log: string;
  readonly last_error: string | null;
}

/** A step of a removal ends with the delivery that exceeds this: a webhook may have thousands of chats. */
const MAX_LANES_PER_STEP = 1000;

/** Where the store keeps the greatest place that a retry has given to a delivery. */
export const GREATEST_SEQ = 'greatest_seq';

/**
 * The value of `blocked` of a delivery that was leased as it was recorded and is in flight: it is in no index of due
 * deliveries and has no rows in `lanes`.
 */
const IN_FLIGHT = -1;

/** A settled delivery to send again. */
export interface SettledRow {
  readonly id: number;
  readonly target: number;
  readonly chats: Buffer;
  readonly status: DeliveryStatus;
}

/**
 * Deliveries from insertion to settlement: pending → one of SETTLED_STATUSES; a settled one can become pending again.
 * Every method is for use inside a transaction. The column `lease` has been unused since migration 22: dropping it would
 * rewrite every row.
 */
export class DeliveryTables {
  readonly #db: Db;
  readonly #ids: Ids;
  readonly #registry: RegistryTables;
  readonly #lanes: Lanes;
  readonly #counts: TargetCounts;
  readonly #leases: Leases;
  readonly #ranked: ReadonlySet<number>;
  readonly #leftOut: LeftOutItems;
  readonly #insert;
  readonly #history;
  readonly #makeDue;
  readonly #makeFrontDue;
  readonly #keepPending;
  readonly #finish;
  readonly #requeue;
  readonly #bringForward;
  readonly #requestRetry;
  readonly #meta: MetaTable;
  readonly #oldestPending;
  readonly #endOfRemoved;

  constructor(
    db: Db,
    ids: Ids,
    registry: RegistryTables,
    counts: TargetCounts,
    memory = new DeliveryMemory(),
    held = new HeldItems(db, registry),
  ) {
    this.#leftOut = new LeftOutItems(db, held);
    this.#db = db;
    this.#ids = ids;
    this.#registry = registry;
    this.#lanes = new Lanes(db, memory.lanes);
    this.#counts = counts;
    this.#leases = memory.leases;
    this.#ranked = memory.ranked;
    this.#insert = db.prepare(
      `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
         positions, body, newest_message_at, created_at, released, log)
       VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, '[]')`,
    );
    this.#history = db.prepare<[number], HistoryRow>('SELECT log, last_error FROM deliveries WHERE id = ?');
    this.#makeFrontDue = db.prepare<[number, number, Buffer]>(
      `UPDATE deliveries SET due_at = ? WHERE due_at >= ${RANKS_FROM}
         AND id = (SELECT delivery_id FROM lanes WHERE target = ? AND chat = ? ORDER BY seq LIMIT 1)`,
    );
    this.#makeDue = db.prepare<[number, number]>('UPDATE deliveries SET blocked = 0, due_at = ? WHERE id = ?');
    this.#keepPending = db.prepare(
      `UPDATE deliveries SET blocked = 0, due_at = ?, resume_at = ?, asked = ?, tries = ?, attempts = ?, log = ?, last_error = ?, streak = ?
       WHERE id = ?`,
    );
    this.#finish = db.prepare(
      `UPDATE deliveries SET blocked = 0, resume_at = NULL, asked = 0, streak = NULL, status = ?, cause = ?, settled_at = ?, tries = ?,
         attempts = ?, log = ?, last_error = ? WHERE id = ?`,
    );
    // A retry of a delivery that expired or was left out sends it however old its message is.
    this.#requeue = db.prepare(
      `UPDATE deliveries SET status = 'pending', cause = NULL, settled_at = NULL, tries = 0, seq = ?, blocked = ?, due_at = ?,
         newest_message_at = CASE WHEN status IN ('delivered', 'dead') THEN newest_message_at END WHERE id = ?`,
    );
    // A rank is no time at which the schedule could continue: after this attempt it begins anew.
    this.#bringForward = db.prepare<{ id: number; now: number }>(
      `UPDATE deliveries SET resume_at = coalesce(resume_at, CASE WHEN due_at < ${RANKS_FROM} THEN due_at ELSE @now END),
         due_at = @now WHERE id = @id AND due_at > @now`,
    );
    this.#requestRetry = db.prepare<[number]>('UPDATE deliveries SET asked = 1 WHERE id = ?');
    this.#meta = new MetaTable(db);
    this.#oldestPending = db.prepare<[number, number], { id: number; chats: Buffer; seq: number }>(
      "SELECT id, chats, seq FROM deliveries WHERE target = ? AND status = 'pending' AND blocked >= 0 ORDER BY id LIMIT ?",
    );
    this.#endOfRemoved = db.prepare<[number, number]>(
      `UPDATE deliveries SET status = 'dead', blocked = 0, settled_at = ?, last_error = 'The target was removed.' WHERE id = ?`,
    );
  }

  /** Inserts a delivery that is due now, at the end of its lanes (I6). Returns its id. */
  add(delivery: NewDelivery, now: number): number {
    return finish(this.addInSlices(delivery, now));
  }

  /** The same in slices of its lanes: it may have thousands. */
  *addInSlices(delivery: NewDelivery, now: number): Sliced<number> {
    const id = this.#ids.next(now);
    let blocked = 0;
    for (let from = 0; from < delivery.lanes.length; from += LANE_BYTES_PER_SLICE) {
      if (from > 0) yield;
      const lanes = delivery.lanes.subarray(from, from + LANE_BYTES_PER_SLICE);
      blocked += this.#lanes.join(delivery.target, lanes, id, id);
      if (this.#ranked.has(delivery.target)) this.#rankAgain(delivery.target, lanes, now);
    }
    this.#insertRow(id, delivery, blocked, now);
    return id;
  }

  /** The first deliveries of these lanes become due, if they wait for a pace: their chats have something new. */
  #rankAgain(target: number, lanes: Buffer, now: number): void {
    for (const lane of keysIn(lanes)) this.#makeFrontDue.run(now, target, lane);
  }

  /**
   * Inserts a delivery that is leased from its commit until `until` (I5), without rows in `lanes` and without a claim. Returns
   * null and inserts nothing if another delivery is in one of its lanes (I6).
   */
  addLeased(delivery: NewDelivery, now: number, until: number): Lease | null {
    const { target, channel, lanes } = delivery;
    const id = this.#ids.next(now);
    if (!this.#lanes.hold(target, lanes, id)) return null;
    this.#insertRow(id, delivery, IN_FLIGHT, now);
    const lease: Lease = {
      ...{ id, token: this.#leases.nextToken(), until, target, channel, lanes, seq: id, createdAt: now },
      ...{ attempts: 0, tries: 0, resumeAt: null, streak: null, isRetryRequested: false, isBorn: true },
    };
    this.#leases.add(lease);
    return lease;
  }

  #insertRow(id: number, delivery: NewDelivery, blocked: number, now: number): void {
    this.#insert.run(
      id,
      delivery.webhookId,
      delivery.target,
      delivery.channel,
      id,
      delivery.lanes,
      blocked,
      now,
      delivery.verdicts.join(),
      delivery.positions && JSON.stringify(delivery.positions),
      delivery.body,
      delivery.newestMessageAt,
      now,
      delivery.released === true ? 1 : 0,
    );
    this.#counts.added(delivery.target);
  }

  /** At a start: makes the deliveries due that the previous process leased as it recorded them, and restores their lanes. */
  recoverInFlight(now: number): void {
    const inFlight = this.#db.prepare<[], Omit<SettledRow, 'status'> & { seq: number }>(
      "SELECT id, target, chats, seq FROM deliveries WHERE status = 'pending' AND blocked < 0",
    );
    for (const { id, target, chats, seq } of inFlight.all()) {
      this.#lanes.store(target, chats, seq, id);
      this.#makeDue.run(now, id);
    }
  }

  /** Writes the outcome of an attempt. Returns false, and writes nothing, if the lease is not the caller's (I5). */
  settle(settlement: Settlement, now: number): boolean {
    const lease = this.#leases.get(parseDeliveryId(settlement.id) ?? 0);
    // I5: only the holder of the lease settles.
    if (lease?.token !== settlement.lease) return false;
    this.#leases.remove(lease);
    if (settlement.status === 'pending') this.#return(lease, settlement, now);
    else this.#end(lease, settlement, settlement.status, now);
    return true;
  }

  #return(lease: Lease, settlement: Settlement, now: number): void {
    const { attempt, dueAt, streak } = settlement;
    // Returned without an attempt: the claim changed nothing in its row, so it is due as before.
    if (attempt === null && dueAt === undefined && !lease.isBorn) return;
    const made = attemptsAfter(lease, attempt);
    const { log, lastError } = this.#historyAfter(lease, settlement);
    if (lease.isBorn) this.#lanes.store(lease.target, lease.lanes, lease.seq, lease.id);
    const before = { ...lease, dueAt: dueAt ?? Math.min(lease.createdAt, now) };
    const next = attempt ? scheduleAfterFailure(before, before.dueAt, now) : before;
    this.#keepPending.run(
      next.dueAt,
      next.resumeAt,
      Number(next.isRetryRequested),
      made.tries,
      made.attempts,
      log,
      lastError,
      streak === undefined ? lease.streak : streak && JSON.stringify(streak),
      lease.id,
    );
  }

  #end(lease: Lease, settlement: Settlement, status: DeliveryStatus, now: number): void {
    const { id, target, lanes, seq } = lease;
    const { attempt, cause } = settlement;
    const made = attemptsAfter(lease, attempt);
    const { log, lastError } = this.#historyAfter(lease, settlement);
    this.#finish.run(status, cause ?? null, now, made.tries, made.attempts, log, lastError, id);
    if (lease.isBorn) this.#lanes.free(target, lanes);
    else this.#lanes.leave(target, lanes, seq);
    this.#counts.settled(target);
    if (status === 'dead') this.#counts.endedDead(id, target, cause, now);
    else if (isLeftOut(status)) this.#leftOut.hold(id);
  }

  /** The log and the last error after a settlement. A first attempt, the usual case, saves reading what is stored. */
  #historyAfter({ id, attempts }: Lease, { attempt, reason }: Settlement): { log: string; lastError: string | null } {
    if (attempt && attempts === 0) return { log: JSON.stringify([attempt]), lastError: reason ?? attempt.error };
    const { log = '[]', last_error: lastError = null } = this.#history.get(id) ?? {};
    return historyAfter({ log, lastError }, { attempt, ...(reason !== undefined && { reason }) });
  }

  /** Retries a delivery manually: see `Outbox.retry`. @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  retry(publicId: string, now: number): void {
    const id = parseDeliveryId(publicId);
    const row = this.#db
      .prepare<[number | null], SettledRow>('SELECT id, target, chats, status FROM deliveries WHERE id = ?')
      .get(id);
    if (!row) {
      throw new GatewayError('GW_NOT_FOUND', `There is no delivery "${publicId}". It may have been pruned.`);
    }
    if (![...this.#registry.targets().values()].some(({ number }) => number === row.target)) {
      throw new GatewayError('GW_CONFLICT', 'The target of this delivery was removed, so it cannot be sent again.');
    }
    const lease = this.#leases.get(row.id);
    if (row.status !== 'pending') this.requeue(row, now);
    else if (!lease) this.#bringForward.run({ id: row.id, now });
    else {
      // I5: a leased delivery keeps its lease. The request is stored too: it outlives a crash.
      this.#requestRetry.run(row.id);
      this.#leases.add({ ...lease, isRetryRequested: true });
    }
  }

  /** Makes a settled delivery pending at the end of its lanes (I6), so it overtakes nothing that waits there. */
  requeue({ id, target, chats, status }: SettledRow, now: number): void {
    const seq = this.#ids.next(now);
    this.#meta.set(GREATEST_SEQ, String(seq));
    this.#counts.requeued(id, target);
    this.#requeue.run(seq, this.#lanes.join(target, chats, seq, id), now, id);
    if (isLeftOut(status)) this.#leftOut.sentAgain(id);
  }

  /** Whether bulk work would send this again although its items were released since: the bot has them. */
  wasReleased({ id, target, status }: Pick<SettledRow, 'id' | 'target' | 'status'>): boolean {
    return isLeftOut(status) && this.#leftOut.wasReleased(id, target);
  }

  /** Ends at most `limit` pending deliveries of a removed target as dead. Returns whether more may be left. */
  endSomeOfRemoved(target: number, limit: number, now: number): boolean {
    const born = [...this.#leases.of(target).born.values()].slice(0, limit);
    const inFlight = born.map(({ id, lanes: chats, seq }) => ({ id, chats, seq }));
    const rows = [...inFlight, ...this.#oldestPending.all(target, limit - inFlight.length)];
    let ended = 0;
    let lanes = 0;
    for (const { id, chats, seq } of rows) {
      if (lanes >= MAX_LANES_PER_STEP) break;
      this.#endOfRemoved.run(now, id);
      const lease = this.#leases.get(id);
      if (lease) this.#leases.remove(lease);
      this.#lanes.drop(target, chats, seq);
      ended += 1;
      lanes += chats.length / KEY_BYTES;
    }
    this.#counts.ended(target, ended);
    return ended === limit || ended < rows.length;
  }

  /** For a removed target without pending deliveries. */
  forgetCounts(target: number): void {
    this.#counts.remove(target);
  }
}
