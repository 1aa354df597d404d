import type { Effects } from '../../effects.js';
import { rewriteChannel, rewriteTarget } from '../../secret-places.js';
import type { RewriteSecret } from '../../secret-places.js';
import { SHIFT_START, STATUSES_TO_SHIFT } from './clock-shift.js';
import type { CallCursor, ClockShift, ShiftCursor } from './clock-shift.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import type { Pruning } from './pruning.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { SweepStep } from './sweep-step.js';
import type { ClockMemory } from './clock-memory.js';
import type { Retention, Upkeep } from '../upkeep.js';

export interface UpkeepParts {
  readonly commit: GroupCommit;
  readonly registry: RegistryTables;
  readonly pruning: Pruning;
  readonly clock: ClockMemory;
  readonly clockShift: ClockShift;
  /** Looks for damage that the start has not looked for. */
  readonly findDamage: Upkeep['findDamage'];
}

export class SqliteUpkeep implements Upkeep {
  readonly #commit: GroupCommit;
  readonly #registry: RegistryTables;
  readonly #pruning: Pruning;
  readonly #clock: ClockMemory;
  readonly #clockShift: ClockShift;
  readonly findDamage: Upkeep['findDamage'];
  readonly #now: Effects['now'];
  readonly #writeProbe;
  readonly #insertPin;
  readonly #pinnedValue;
  readonly #setValue;
  /** The next step of the sweep; null: the first one. It moves on only after the commit of the step before it. */
  #nextStep: SweepStep | null = null;

  constructor(db: Db, { commit, registry, pruning, clock, clockShift, findDamage }: UpkeepParts, now: Effects['now']) {
    this.#commit = commit;
    this.#registry = registry;
    this.#pruning = pruning;
    this.#clock = clock;
    this.#clockShift = clockShift;
    this.findDamage = findDamage;
    this.#now = now;
    this.#writeProbe = db.prepare<[string]>(
      "INSERT INTO meta (key, value) VALUES ('probed_at', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    );
    this.#insertPin = db.prepare<[string, string]>(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING',
    );
    this.#setValue = db.prepare<[string, string]>(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    this.#pinnedValue = db.prepare<[string], string>('SELECT value FROM meta WHERE key = ?').pluck();
  }

  async clockSetBack(byMs: number): Promise<void> {
    await this.#commit.run(() => this.#clock.noteSetBack(byMs, this.#now()));
    let cursor: ShiftCursor | null = SHIFT_START;
    while (cursor !== null) {
      const from: ShiftCursor = cursor;
      cursor = await this.#commit.run(() => this.#clockShift.shiftDeliveries(byMs, from, this.#now()));
    }
    for (const channel of await read(() => [...this.#registry.channels().keys()])) {
      for (const status of STATUSES_TO_SHIFT) await this.#shiftCalls(byMs, channel, status);
    }
    await this.#commit.run(() => this.#clockShift.shiftHistories(byMs, this.#now()));
  }

  async #shiftCalls(byMs: number, channel: string, status: string): Promise<void> {
    const step = async (from: CallCursor | null): Promise<CallCursor | null> =>
      await this.#commit.run(() => this.#clockShift.shiftCalls(byMs, channel, status, from, this.#now()));
    let cursor = await step(null);
    while (cursor !== null) cursor = await step(cursor);
  }

  async probe(): Promise<void> {
    await this.#commit.run(() => this.#writeProbe.run(String(this.#now())));
  }

  async pin(name: string, value: string): Promise<string> {
    return await this.#commit.run(() => {
      this.#insertPin.run(name, value);
      return this.#pinnedValue.get(name) ?? value;
    });
  }

  async pinned(name: string): Promise<string | null> {
    return await read(() => this.#pinnedValue.get(name) ?? null);
  }

  async rewriteSecrets(rewrite: RewriteSecret, values: Readonly<Record<string, string>>): Promise<void> {
    await this.#commit.run(() => {
      const registry = this.#registry;
      for (const channel of [...registry.channels().values()]) registry.updateChannel(rewriteChannel(channel, rewrite));
      for (const { target } of [...registry.targets().values()]) registry.updateTarget(rewriteTarget(target, rewrite));
      for (const [name, value] of Object.entries(values)) this.#setValue.run(name, value);
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
