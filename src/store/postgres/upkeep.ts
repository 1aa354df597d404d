import { GatewayError } from '../../errors.js';
import { rewriteChannel, rewriteTarget } from '../../secret-places.js';
import type { RewriteSecret } from '../../secret-places.js';
import { unexpired } from '../rules/rotation.js';
import type { Base } from './base.js';
import { confirmedAt, rememberTime } from './clock-memory.js';
import { shiftAfterFall } from './clock-shift.js';
import { addMeta, metaValue, setMeta } from './meta.js';
import { pruningPhases } from './pruning.js';
import { updateChannel, updateTarget } from './registry.js';
import type { RegistryState } from './registry-cache.js';
import { changeRegistry } from './registry-change.js';
import { Sweep } from './sweep.js';
import type { Retention, Upkeep } from '../upkeep.js';

const PROBE = `INSERT INTO gateway.meta (key, value) SELECT 'probed_at', $1 WHERE NOT pg_is_in_recovery()
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

/** Maintenance of the store: clock, pinned values, secrets, retention. */
export class PostgresUpkeep implements Upkeep {
  readonly #base: Base;
  readonly #sweep: Sweep;

  constructor(base: Base) {
    this.#base = base;
    this.#sweep = new Sweep(base, pruningPhases(base));
  }

  readonly now = (): number => this.#base.now();

  /** Shifts by as much as the database's clock was set back: the clocks of replicas do not affect stored times. */
  async clockSetBack(): Promise<void> {
    await shiftAfterFall(this.#base.db, this.#base.fall);
  }

  /** PostgreSQL checks its files itself. */
  findDamage(): Promise<null> {
    return Promise.resolve(null);
  }

  async probe(): Promise<void> {
    const { db, now, registry } = this.#base;
    await registry.current(); // refused if a newer version of the gateway has made the schema unusable for this one
    if ((await db.run(PROBE, String(now()))) > 0) return;
    throw new GatewayError(
      'GW_STORE_UNAVAILABLE',
      'PostgreSQL is a standby, which takes no writes. Set DATABASE_URL to the primary.',
    );
  }

  async pin(name: string, value: string): Promise<string> {
    return await this.#base.db.transaction(async (tx) => await addMeta(tx, name, value));
  }

  async pinned(name: string): Promise<string | null> {
    return await metaValue(this.#base.db, name);
  }

  async rewriteSecrets(rewrite: RewriteSecret, values: Readonly<Record<string, string>>): Promise<void> {
    await changeRegistry(this.#base, async (tx, { channels, targets }) => {
      for (const channel of channels.values()) await updateChannel(tx, rewriteChannel(channel, rewrite));
      for (const { target } of targets.values()) await updateTarget(tx, rewriteTarget(target, rewrite));
      for (const [name, value] of Object.entries(values)) await setMeta(tx, name, value);
    });
  }

  async confirmedTime(): Promise<number | null> {
    return await confirmedAt(this.#base.db);
  }

  async rememberTime(now: number, isConfirmed: boolean): Promise<void> {
    await this.#base.db.transaction(async (tx) => await rememberTime(tx, now, isConfirmed));
  }

  async prune(retention: Retention, now: number): Promise<boolean> {
    await this.#dropExpiredSecrets(now);
    return await this.#sweep.step(retention, now);
  }

  /** Erases earlier secrets whose grace period is over. */
  async #dropExpiredSecrets(now: number): Promise<void> {
    if (expiredIn(await this.#base.registry.current(), now).length === 0) return;
    await changeRegistry(this.#base, async (tx, state) => {
      for (const target of expiredIn(state, now)) await updateTarget(tx, target);
    });
  }
}

/** The targets that have a secret whose grace period is over, without it. */
function expiredIn({ targets }: RegistryState, now: number) {
  return [...targets.values()].flatMap(({ target }) => {
    const previousSecrets = unexpired(target.previousSecrets, now);
    return previousSecrets.length < target.previousSecrets.length ? [{ ...target, previousSecrets }] : [];
  });
}
