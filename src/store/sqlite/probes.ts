import { neverProbed } from '../../errors.js';
import type { ProbeCall, Probes, ProbeView } from '../probes.js';
import { cancelledProbe, probeIsRunning, probeOf, probeRowOf } from '../rules/probe-rows.js';
import type { ProbeRow } from '../rules/probe-rows.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';

export class SqliteProbes implements Probes {
  readonly #commit: GroupCommit;
  readonly #registry: RegistryTables;
  readonly #of;
  readonly #running;
  readonly #replace;
  readonly #update;
  readonly #remove;

  constructor(db: Db, registry: RegistryTables, commit: GroupCommit) {
    this.#commit = commit;
    this.#registry = registry;
    this.#of = db.prepare<[string], ProbeRow>('SELECT * FROM probes WHERE channel = ?');
    this.#running = db.prepare<[], ProbeRow>('SELECT * FROM probes WHERE finished_at IS NULL');
    this.#replace = db.prepare<[ProbeRow]>(
      `INSERT OR REPLACE INTO probes (channel, message_id, started_at, finished_at, facts)
       VALUES (@channel, @message_id, @started_at, @finished_at, @facts)`,
    );
    this.#update = db.prepare<[ProbeRow]>(
      `UPDATE probes SET finished_at = @finished_at, facts = @facts
       WHERE channel = @channel AND started_at = @started_at AND finished_at IS NULL`,
    );
    this.#remove = db.prepare<[string]>('DELETE FROM probes WHERE channel = ?');
  }

  async begin(probe: ProbeView): Promise<void> {
    await this.#commit.run(() => {
      this.#registry.requireChannel(probe.channel);
      const last = this.#of.get(probe.channel);
      if (last?.finished_at === null) throw probeIsRunning(probeOf(last));
      this.#replace.run(probeRowOf(probe));
    });
  }

  async save(probe: ProbeView): Promise<boolean> {
    return await this.#commit.run(() => this.#update.run(probeRowOf(probe)).changes > 0);
  }

  async cancel(channel: string, at: number, call: ProbeCall | null): Promise<ProbeView> {
    return await this.#commit.run(() => {
      const row = this.#of.get(channel);
      if (!row) throw neverProbed(channel);
      const cancelled = cancelledProbe(probeOf(row), at, call);
      this.#update.run(probeRowOf(cancelled));
      return cancelled;
    });
  }

  async of(channel: string): Promise<ProbeView | null> {
    return await read(() => {
      const row = this.#of.get(channel);
      return row ? probeOf(row) : null;
    });
  }

  async running(): Promise<ProbeView[]> {
    return await read(() => this.#running.all().map(probeOf));
  }

  /** For use inside a transaction. */
  remove(channel: string): void {
    this.#remove.run(channel);
  }
}
