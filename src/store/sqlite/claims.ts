import { GatewayError } from '../../errors.js';
import { isPaced } from '../../intake/backlog.js';
import type { Verdict } from '../../model.js';
import { leasedDelivery } from '../rules/leased-delivery.js';
import { isRank } from '../rules/pace.js';
import type { Db } from './database.js';
import type { DueDeliveries, DueRow } from './due-deliveries.js';
import type { Leases } from './leases.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import type { RegistryTables } from './registry-tables.js';
import type { ClaimWant, Claimed, Delivery, Due } from '../outbox.js';

/** Finds what is due and leases it. Leases live in memory, so a claim only reads the database. */
export class Claims {
  readonly #registry: RegistryTables;
  readonly #leases: Leases;
  readonly #due: DueDeliveries;
  readonly #ranked: Set<number>;
  readonly #longBody;

  /** @param ranked the targets that may have ranked deliveries, by number */
  constructor(db: Db, registry: RegistryTables, leases: Leases, due: DueDeliveries, ranked: Set<number>) {
    this.#registry = registry;
    this.#leases = leases;
    this.#due = due;
    this.#ranked = ranked;
    this.#longBody = db
      .prepare<[number], Buffer>(
        'SELECT coalesce(d.body, w.body) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?',
      )
      .pluck();
  }

  /** See `Outbox.due`. */
  due(now: number): Due {
    const first = this.#due.firstByTarget(now);
    const targetIds = new Set<string>();
    let nextDueAt = Infinity;
    if (first.size > 0) {
      for (const [id, { number }] of this.#registry.targets()) {
        const dueAt = first.get(number) ?? Infinity;
        if (dueAt <= now || this.#hasRanked(number)) targetIds.add(id);
        else if (!isRank(dueAt)) nextDueAt = Math.min(nextDueAt, dueAt);
      }
    }
    return { targetIds, nextDueAt: nextDueAt === Infinity ? null : nextDueAt };
  }

  #hasRanked(target: number): boolean {
    if (!this.#ranked.has(target)) return false;
    const hasSome = this.#due.hasRanked(target);
    if (!hasSome) this.#ranked.delete(target);
    return hasSome;
  }

  /**
   * Leases due deliveries: see `Outbox.claim`.
   * @param letThrough the due deliveries that need not wait for a pace, by id
   */
  claim(wanted: readonly ClaimWant[], now: number, leaseMs: number, letThrough: ReadonlySet<number>): Claimed {
    const deliveries: Delivery[] = [];
    let nextDueAt = Infinity;
    for (const want of wanted) {
      const found = this.#registry.targets().get(want.targetId);
      if (!found) continue; // removed since the caller listed its targets
      let retries = 0;
      for (const row of this.#due.pick(found.number, want, now)) {
        if (want.backlog !== undefined && !letThrough.has(row.id) && this.#mustWait(row, found, now)) continue;
        deliveries.push(this.#leaseOut(row, found, now + leaseMs));
        if (row.tries > 0) retries += 1;
      }
      nextDueAt = Math.min(nextDueAt, this.#due.nextAt(found.number, want, retries, now));
    }
    return { deliveries, nextDueAt: nextDueAt === Infinity ? null : nextDueAt };
  }

  /** Whether a due delivery is backlog that was not sorted yet. (One whose lease ran out is sorted once it is returned.) */
  #mustWait(row: DueRow, { target }: NumberedTarget, now: number): boolean {
    if (isRank(row.due_at) || this.#leases.get(row.id)?.isBorn === true) return false;
    const verdicts = row.verdicts.split(',') as Verdict[];
    return isPaced({ verdicts, newestMessageAt: row.newest_message_at }, target, now);
  }

  #leaseOut(row: DueRow, { target, number }: NumberedTarget, until: number): Delivery {
    const body = row.body ?? this.#longBody.get(row.id);
    if (!body) throw new GatewayError('GW_INTERNAL', `The webhook of delivery ${row.id} is missing.`);
    const token = this.#leases.nextToken();
    this.#leases.add({
      id: row.id,
      token,
      until,
      target: number,
      channel: row.channel,
      lanes: row.chats,
      seq: row.seq,
      createdAt: row.created_at,
      attempts: row.attempts,
      tries: row.tries,
      resumeAt: row.resume_at,
      streak: row.streak,
      isRetryRequested: row.asked === 1,
      isBorn: this.#leases.get(row.id)?.isBorn === true,
    });
    return leasedDelivery(row, target, token, until, body);
  }
}
