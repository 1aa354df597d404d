import type { Effects } from '../../effects.js';
import { rewriteChannel, rewriteTarget } from '../../secret-places.js';
import type { RewriteSecret } from '../../secret-places.js';
import type { ClockMemory } from './clock-memory.js';
import { SHIFT_START, STATUSES_TO_SHIFT } from './clock-shift.js';
import type { CallCursor, ClockShift, ShiftCursor } from './clock-shift.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import type { Leases } from './leases.js';
import { MetaTable } from './meta.js';
import type { NamedLeases } from './named-leases.js';
import type { Pruning } from './pruning.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { SweepStep } from './sweep-step.js';
import type { SqliteTurns } from './turns.js';
import type { Retention, Upkeep } from '../upkeep.js';

export interface UpkeepParts {
  readonly commit: GroupCommit;
  readonly registry: RegistryTables;
  readonly pruning: Pruning;
  readonly clock: ClockMemory;
  readonly clockShift: ClockShift;
  readonly leases: Leases;
  readonly turns: SqliteTurns;
  readonly auditLeases: NamedLeases;
  /** Looks for damage that the start has not looked for. */
  readonly findDamage: Upkeep['findDamage'];
}

/** For use inside a transaction. Returns the step that follows it; null: none. */
type ShiftStep = (now: number) => ShiftStep | null;

export class SqliteUpkeep implements Upkeep {
  readonly #commit: GroupCommit;
  readonly #registry: RegistryTables;
  readonly #pruning: Pruning;
  readonly #clock: ClockMemory;
  readonly #clockShift: ClockShift;
  readonly #leases: Leases;
  readonly #turns: SqliteTurns;
  readonly #auditLeases: NamedLeases;
  readonly findDamage: Upkeep['findDamage'];
  readonly now: Effects['now'];
  readonly #meta: MetaTable;
  /** The next step of the sweep; null: the first one. It moves on only after the commit of the step before it. */
  #nextStep: SweepStep | null = null;
  /** A shift that has failed: what is left of it. To begin again would shift twice what is done, leases among it. */
  #shift: { readonly byMs: number; readonly steps: ShiftStep[] } | null = null;

  constructor(
    db: Db,
    { commit, registry, pruning, clock, clockShift, leases, turns, auditLeases, findDamage }: UpkeepParts,
    now: Effects['now'],
  ) {
    this.#commit = commit;
    this.#registry = registry;
    this.#pruning = pruning;
    this.#clock = clock;
    this.#clockShift = clockShift;
    this.#leases = leases;
    this.#turns = turns;
    this.#auditLeases = auditLeases;
    this.findDamage = findDamage;
    this.now = now;
    this.#meta = new MetaTable(db);
  }

  async clockSetBack(byMs: number): Promise<void> {
    if (!this.#shift) this.#shiftMemory(byMs);
    const shift = (this.#shift ??= { byMs, steps: await read(() => this.#stepsOfShift(byMs)) });
    for (let step = shift.steps[0]; step !== undefined; step = shift.steps[0]) {
      const current = step;
      const next = await this.#commit.run(() => current(this.now()));
      shift.steps.splice(0, 1, ...(next ? [next] : []));
    }
    this.#shift = null;
    if (byMs > shift.byMs) await this.clockSetBack(byMs - shift.byMs);
  }

  /** What cannot fail, because it is in memory only. */
  #shiftMemory(byMs: number): void {
    this.#turns.shift(byMs);
    this.#auditLeases.shift(byMs, this.now());
  }

  #stepsOfShift(byMs: number): ShiftStep[] {
    const deliveriesAfter =
      (cursor: ShiftCursor): ShiftStep =>
      (now) => {
        const next = this.#clockShift.shiftDeliveries(byMs, cursor, now);
        return next && deliveriesAfter(next);
      };
    const callsAfter =
      (channel: string, status: string, cursor: CallCursor | null): ShiftStep =>
      (now) => {
        const next = this.#clockShift.shiftCalls(byMs, channel, status, cursor, now);
        return next && callsAfter(channel, status, next);
      };
    const only =
      (work: (now: number) => void): ShiftStep =>
      (now) => {
        work(now);
        return null;
      };
    return [
      only((now) => this.#clock.noteSetBack(byMs, now)),
      only((now) => this.#leases.shift(byMs, now)),
      deliveriesAfter(SHIFT_START),
      ...[...this.#registry.channels().keys()].flatMap((channel) =>
        STATUSES_TO_SHIFT.map((status) => callsAfter(channel, status, null)),
      ),
      only((now) => this.#clockShift.shiftHistories(byMs, now)),
    ];
  }

  async probe(): Promise<void> {
    await this.#commit.run(() => this.#meta.set('probed_at', String(this.now())));
  }

  async pin(name: string, value: string): Promise<string> {
    return await this.#commit.run(() => {
      this.#meta.add(name, value);
      return this.#meta.get(name) ?? value;
    });
  }

  async pinned(name: string): Promise<string | null> {
    return await read(() => this.#meta.get(name));
  }

  async rewriteSecrets(rewrite: RewriteSecret, values: Readonly<Record<string, string>>): Promise<void> {
    await this.#commit.run(() => {
      const registry = this.#registry;
      for (const channel of [...registry.channels().values()]) registry.updateChannel(rewriteChannel(channel, rewrite));
      for (const { target } of [...registry.targets().values()]) registry.updateTarget(rewriteTarget(target, rewrite));
      for (const [name, value] of Object.entries(values)) this.#meta.set(name, value);
    });
  }

  async confirmedTime(): Promise<number | null> {
    return await read(() => this.#clock.confirmedAt());
  }

  async rememberTime(now: number, isConfirmed: boolean): Promise<void> {
    await this.#commit.run(() => this.#clock.remember(now, isConfirmed));
  }

  async prune(retention: Retention, now: number): Promise<boolean> {
    const step = this.#nextStep;
    this.#nextStep = await this.#commit.run(() => {
      this.#registry.dropExpiredSecrets(now);
      return this.#pruning.step(step, retention, now);
    });
    await this.#commit.runAlone(() => this.#pruning.vacuum());
    return this.#nextStep !== null;
  }
}
