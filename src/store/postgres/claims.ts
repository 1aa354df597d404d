import { isPaced } from '../../intake/backlog.js';
import type { Target, Verdict } from '../../model.js';
import { leasedDelivery } from '../rules/leased-delivery.js';
import { isRank } from '../rules/pace.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import type { Database } from './database.js';
import { CLAIM, GIVE_BACK, NEXT_BY_TARGET, NEXT_OF_TARGETS } from './due-deliveries.js';
import type { ClaimedRow, NextRow } from './due-deliveries.js';
import type { StoreEffects } from '../store.js';
import type { Base } from './base.js';
import { leaseOf } from './leases.js';
import type { Leases } from './leases.js';
import { VERSION } from './registry-cache.js';
import type { RegistryCache } from './registry-cache.js';
import type { ClaimWant, Claimed, Delivery, Due } from '../outbox.js';

/** What is wanted of a target that exists. */
interface Wanted {
  readonly want: ClaimWant;
  readonly found: NumberedTarget;
}

/** A claim that failed after its commit, or whose answer was lost. Its deliveries are leased, but no caller has them. */
interface LostClaim {
  readonly token: number;
  readonly until: number;
}

const NOTHING: Claimed = { deliveries: [], nextDueAt: null };

/** Finds what is due and leases it (I5), for all targets in one statement. */
export class Claims {
  readonly #db: Database;
  readonly #registry: RegistryCache;
  readonly #effects: StoreEffects;
  readonly #leases: Leases;
  #lost: LostClaim[] = [];

  constructor({ db, registry, effects }: Base, leases: Leases) {
    this.#db = db;
    this.#registry = registry;
    this.#effects = effects;
    this.#leases = leases;
  }

  /** See `Outbox.due`. */
  async due(now: number): Promise<Due> {
    const [rows, registry] = await Promise.all([this.#db.all<NextRow>(NEXT_BY_TARGET, now), this.#registry.current()]);
    const first = new Map(rows.map((row) => [row.target, row]));
    const targetIds = new Set<string>();
    let nextDueAt = Infinity;
    for (const [id, { number }] of registry.targets) {
      const row = first.get(number);
      const dueAt = Math.min(row?.first_at ?? Infinity, row?.again_at ?? Infinity);
      if (dueAt <= now || row?.has_ranked === true) targetIds.add(id);
      else nextDueAt = Math.min(nextDueAt, dueAt);
    }
    return { targetIds, nextDueAt: nextDueAt === Infinity ? null : nextDueAt };
  }

  /**
   * Leases due deliveries: see `Outbox.claim`.
   * @param letThrough the due deliveries that need not wait for a pace, by id
   */
  async claim(
    wants: readonly ClaimWant[],
    now: number,
    leaseMs: number,
    letThrough: ReadonlySet<number>,
  ): Promise<Claimed> {
    const { targets } = await this.#registry.current();
    // A target that is missing was removed since the caller listed its targets.
    const wanted = wants.flatMap((want) => {
      const found = targets.get(want.targetId);
      return found ? [{ want, found }] : [];
    });
    if (wanted.length === 0) return NOTHING;
    const byTarget = new Map(wanted.map((each) => [each.found.number, each]));
    const token = this.#newToken();
    const { rows, next, settings } = await this.#orLost(token, now + leaseMs, async () => {
      const leased = await this.#lease(wanted, token, now, leaseMs);
      return { ...leased, settings: await this.#registry.atLeast(leased.version) };
    });
    const mustWait = rows.filter((row) => isUnsorted(row, byTarget.get(row.target), letThrough, now));
    if (mustWait.length > 0) await this.#giveBack(mustWait, token, now + leaseMs);
    const taken = rows.filter((row) => !mustWait.includes(row));
    const deliveries = taken.flatMap((row) => {
      const target = settings.targetNumbered(row.target)?.target;
      const delivery = target && this.#leaseOut(row, target, token, now, now + leaseMs);
      return delivery ?? [];
    });
    const times = next.map((row) => nextOf(row, byTarget.get(row.target)?.want, taken));
    const nextDueAt = Math.min(mustWait.length > 0 ? now : Infinity, ...times);
    return { deliveries, nextDueAt: nextDueAt === Infinity ? null : nextDueAt };
  }

  /** Both statements and the commit are sent at once; the second one sees what the first one has leased. */
  async #lease(wanted: readonly Wanted[], token: number, now: number, leaseMs: number) {
    this.#lost = this.#lost.filter(({ until }) => until > now);
    const targets = wanted.map(({ found }) => found.number);
    return await this.#db.transaction(async (tx) => {
      const [rows, next, registry] = await Promise.all([
        tx.all<ClaimedRow>(
          CLAIM,
          targets,
          wanted.map(({ want }) => want.limit),
          wanted.map(({ want }) => want.retries?.kept ?? 0),
          wanted.map(({ want }) => want.retries?.most ?? want.limit),
          wanted.map(({ want }) => want.bytes ?? Infinity),
          wanted.map(({ want }) => want.backlog ?? want.limit),
          now,
          token,
          leaseMs,
          this.#lost.map((lost) => lost.token),
        ),
        tx.all<NextRow>(NEXT_OF_TARGETS, targets, now),
        tx.one<{ version: number }>(VERSION),
        tx.commitWith('SELECT 1'),
      ]);
      return { rows, next, version: registry?.version ?? 0 };
    });
  }

  /** Ends leases that this claim should not have taken. @param until when they would end */
  async #giveBack(rows: readonly ClaimedRow[], token: number, until: number): Promise<void> {
    const ids = rows.map(({ id }) => id);
    await this.#orLost(token, until, async () => await this.#db.run(GIVE_BACK, ids, token));
  }

  /** If it fails, what it may have leased is claimed again. */
  async #orLost<T>(token: number, until: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#lost.push({ token, until });
      throw error;
    }
  }

  /** Random, so that it differs from every other claim's, of any replica. */
  #newToken(): number {
    return this.#effects.randomBytes(6).readUIntBE(0, 6) + 1;
  }

  /** Null: its webhook is missing, which only damage explains. The other deliveries must not wait for it. */
  #leaseOut(row: ClaimedRow, target: Target, token: number, now: number, until: number): Delivery | null {
    if (row.event === null) return null;
    this.#leases.add(leaseOf(row, token, until), now);
    return leasedDelivery({ ...row, event: row.event }, target, token, until, row.body);
  }
}

/** Whether a due delivery is backlog that was not sorted yet, so that it has to wait for its pace. */
function isUnsorted(
  row: ClaimedRow,
  wanted: Wanted | undefined,
  letThrough: ReadonlySet<number>,
  now: number,
): boolean {
  if (wanted?.want.backlog === undefined || letThrough.has(row.id) || isRank(row.due_at)) return false;
  const verdicts = row.verdicts.split(',') as Verdict[];
  return isPaced({ verdicts, newestMessageAt: row.newest_message_at }, wanted.found.target, now);
}

/** When the next delivery of a target may be claimed. Ignores retries once the claim has its maximum of them. */
function nextOf(
  { target, first_at: firstAt, again_at: againAt }: NextRow,
  want: ClaimWant | undefined,
  taken: readonly ClaimedRow[],
): number {
  const retries = taken.filter((row) => row.target === target && row.tries > 0).length;
  const most = want?.retries?.most ?? Infinity;
  const isFullOfRetries = most < (want?.limit ?? 0) && retries >= most;
  return Math.min(firstAt ?? Infinity, isFullOfRetries ? Infinity : (againAt ?? Infinity));
}
