import { HOUR_MS, MINUTE_MS } from '../../durations.js';
import { utcHour } from '../rules/days.js';
import type { Base } from './base.js';
import type { PendingLoad, TargetLoad } from '../outbox.js';

/** Full hours before the current one: together they cover the last day and up to an hour more. */
const HOURS_BEFORE = 24;
/** Up to this many rows are counted anew each time. A million takes half a second, and every monitor and open dashboard asks. */
const FEW = 5000;
/** How long a count of more rows is used. */
const KEPT_MS = MINUTE_MS;

const PENDING = `SELECT (SELECT count(*) FROM (SELECT q.id FROM gateway.queue q WHERE q.target = $1 ORDER BY q.id LIMIT $2) p) AS count,
  (SELECT q.created_at FROM gateway.queue q WHERE q.target = $1 ORDER BY q.id LIMIT 1) AS oldest_at`;

/** Only of deliveries at the front of their lanes: one that waits behind another was not tried. */
const LAST_ERROR = `SELECT q.last_error FROM gateway.queue q
  WHERE q.target = $1 AND q.blocked = 0 AND q.tries > 0 ORDER BY q.due_at, q.id LIMIT 1`;

/** By event if the target has no handler for it, else in one row without. A join would read the webhooks of all days. */
const DEAD = `SELECT d.event, count(*) AS count FROM (
    SELECT CASE WHEN h.cause = 'no_handler' THEN (SELECT w.event FROM gateway.webhooks w WHERE w.id = h.webhook_id) END AS event
    FROM gateway.history h WHERE h.target = $1 AND h.status = 'dead' AND h.settled_at >= $2 ORDER BY h.settled_at DESC LIMIT $3
  ) d GROUP BY d.event ORDER BY d.event`;

interface PendingRow {
  readonly count: number;
  readonly oldest_at: number | null;
}

interface DeadRow {
  readonly event: string | null;
  readonly count: number;
}

interface Kept<T> {
  readonly until: number;
  readonly counted: Promise<T>;
}

const NONE: PendingLoad = { pending: 0, oldestPendingAt: null };
const NOTHING: TargetLoad = { ...NONE, lastError: null, deadLastDay: 0, unhandledLastDay: [] };

/** How many deliveries wait for a target, and how many ended as dead. Few rows are counted anew, many at most once a minute. */
export class TargetLoads {
  readonly #base: Base;
  /** By number of the target. */
  readonly #manyPending = new Map<number, Kept<number>>();
  readonly #manyDead = new Map<number, Kept<readonly DeadRow[]>>();

  constructor(base: Base) {
    this.#base = base;
  }

  /** See `Outbox.pendingOf`. */
  async pendingOf(targetId: string): Promise<PendingLoad> {
    const target = await this.#numberOf(targetId);
    return target === undefined ? NONE : await this.#pendingOf(target);
  }

  /** See `Outbox.loadOf`. */
  async loadOf(targetId: string): Promise<TargetLoad> {
    const target = await this.#numberOf(targetId);
    if (target === undefined) return NOTHING;
    const [pending, last, dead] = await Promise.all([
      this.#pendingOf(target),
      this.#base.db.one<{ last_error: string | null }>(LAST_ERROR, target),
      this.#deadOf(target),
    ]);
    return {
      ...pending,
      lastError: last?.last_error ?? null,
      deadLastDay: dead.find(({ event }) => event === null)?.count ?? 0,
      unhandledLastDay: dead.flatMap(({ event, count }) => (event === null ? [] : [{ event, count }])),
    };
  }

  /** Undefined: it was removed, or never existed. */
  async #numberOf(targetId: string): Promise<number | undefined> {
    return (await this.#base.registry.current()).targets.get(targetId)?.number;
  }

  async #pendingOf(target: number): Promise<PendingLoad> {
    const { db } = this.#base;
    const count = async (most: number | null) => await db.one<PendingRow>(PENDING, target, most);
    const { count: few = 0, oldest_at: oldestPendingAt = null } = (await count(FEW)) ?? {};
    if (few < FEW) return { pending: few, oldestPendingAt };
    const many = await this.#kept(this.#manyPending, target, async () => (await count(null))?.count ?? 0);
    return { pending: Math.max(few, many), oldestPendingAt };
  }

  async #deadOf(target: number): Promise<readonly DeadRow[]> {
    const { db, now } = this.#base;
    const since = (utcHour(now()) - HOURS_BEFORE) * HOUR_MS;
    const count = async (most: number | null) => await db.all<DeadRow>(DEAD, target, since, most);
    const few = await count(FEW);
    if (few.reduce((sum, row) => sum + row.count, 0) < FEW) return few;
    return await this.#kept(this.#manyDead, target, async () => await count(null));
  }

  async #kept<T>(all: Map<number, Kept<T>>, target: number, count: () => Promise<T>): Promise<T> {
    const { monotonic } = this.#base.effects;
    const before = all.get(target);
    if (before && monotonic() < before.until) return await before.counted;
    const kept = { until: monotonic() + KEPT_MS, counted: count() };
    all.set(target, kept);
    try {
      return await kept.counted;
    } catch (error) {
      if (all.get(target) === kept) all.delete(target);
      throw error;
    }
  }
}
