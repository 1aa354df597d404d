import { HOUR_MS, MINUTE_MS } from '../../durations.js';
import type { Base } from './base.js';
import { limitsOf } from './sweep-step.js';
import type { Cursor, SweepPhases } from './sweep-step.js';
import type { Retention } from '../upkeep.js';

const LEASE = 'sweep';
/** If a replica stops in the middle of a sweep, another one continues it after this time. */
const LEASE_MS = 2 * MINUTE_MS;
/** After a sweep by another replica this one begins none for this long: each of them tries every hour. */
const FRESH_MS = HOUR_MS / 2;
/** How long the last event of an object is kept, to recognize Whapi's retries (rule 13 needs 2 hours). */
const OBJECT_RETENTION_MS = 3 * HOUR_MS;

interface SweepState {
  /** The phase of the next step; null: the first one of a sweep. */
  readonly phase: string | null;
  readonly cursor: Cursor | null;
  /** The end of the last sweep. */
  readonly ended: { readonly at: number; readonly by: string } | null;
}

const START: SweepState = { phase: null, cursor: null, ended: null };

/** A lease that ends later than a new one would was given before the clock was set back, so it does not count. */
const TAKE = `INSERT INTO gateway.leases AS l (name, holder, until, state) VALUES ($1, $2, $3::bigint + ${LEASE_MS}, NULL)
  ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
  WHERE l.holder = $2 OR l.until <= $3 OR l.until > $3 + ${LEASE_MS}
  RETURNING l.state`;

/**
 * Removes what has outlived its retention, in small steps, by one replica at a time: the holder of the lease. The progress is
 * stored with the lease, so that another replica can continue.
 */
export class Sweep {
  readonly #base: Base;
  readonly #phases: SweepPhases;
  readonly #holder: string;

  constructor(base: Base, phases: SweepPhases) {
    this.#base = base;
    this.#phases = phases;
    this.#holder = base.effects.randomBytes(9).toString('base64url');
  }

  /** Runs a step. Returns whether more of this sweep is left for this replica. */
  async step(retention: Retention, now: number): Promise<boolean> {
    const state = await this.#take();
    if (!state || (state.phase === null && this.#isFresh(state, now))) return false;
    const phase = state.phase !== null && this.#phases.has(state.phase) ? state.phase : this.#phaseAfter(null);
    const step = phase === null ? undefined : this.#phases.get(phase);
    const cursor = phase === state.phase ? state.cursor : null;
    const next = (await step?.(cursor, limitsOf(retention, OBJECT_RETENTION_MS, now))) ?? null;
    const nextPhase = next === null ? this.#phaseAfter(phase) : phase;
    const ended = nextPhase === null ? { at: now, by: this.#holder } : state.ended;
    await this.#save({ phase: nextPhase, cursor: next, ended });
    return nextPhase !== null;
  }

  /** Null: another replica holds the lease. */
  async #take(): Promise<SweepState | null> {
    const { db, now } = this.#base;
    const row = await db.one<{ state: string | null }>(TAKE, LEASE, this.#holder, now());
    if (!row) return null;
    return row.state === null ? START : (JSON.parse(row.state) as SweepState);
  }

  #isFresh({ ended }: SweepState, now: number): boolean {
    return ended !== null && ended.by !== this.#holder && Math.abs(now - ended.at) < FRESH_MS;
  }

  async #save(state: SweepState): Promise<void> {
    await this.#base.db.run(
      'UPDATE gateway.leases SET state = $1 WHERE name = $2 AND holder = $3',
      JSON.stringify(state),
      LEASE,
      this.#holder,
    );
  }

  #phaseAfter(phase: string | null): string | null {
    const names = [...this.#phases.keys()];
    return names[phase === null ? 0 : names.indexOf(phase) + 1] ?? null;
  }
}
