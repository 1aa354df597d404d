import { neverProbed } from '../../errors.js';
import type { ProbeCall, Probes, ProbeView } from '../probes.js';
import { cancelledProbe, probeIsRunning, probeOf, probeRowOf } from '../rules/probe-rows.js';
import type { ProbeRow } from '../rules/probe-rows.js';
import type { Base } from './base.js';

const COLUMNS = 'channel, message_id, started_at, finished_at, facts';

/** The last probe of each channel. One runs at a time. */
export class PostgresProbes implements Probes {
  readonly #base: Base;

  constructor(base: Base) {
    this.#base = base;
  }

  async begin(probe: ProbeView): Promise<void> {
    const { channel, message_id, started_at, finished_at, facts } = probeRowOf(probe);
    await this.#base.db.transaction(async (tx) => {
      await tx.lockChannels([channel]);
      (await this.#base.registry.in(tx)).requireChannel(channel);
      const saved = await tx.run(
        `INSERT INTO gateway.probes AS p (${COLUMNS}) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (channel) DO UPDATE SET (message_id, started_at, finished_at, facts) =
           (excluded.message_id, excluded.started_at, excluded.finished_at, excluded.facts)
         WHERE p.finished_at IS NOT NULL`,
        ...[channel, message_id, started_at, finished_at, facts],
      );
      if (saved > 0) return;
      const running = await tx.one<ProbeRow>(`SELECT ${COLUMNS} FROM gateway.probes WHERE channel = $1`, channel);
      throw probeIsRunning(running ? probeOf(running) : probe);
    });
  }

  async save(probe: ProbeView): Promise<boolean> {
    const { channel, started_at, finished_at, facts } = probeRowOf(probe);
    const saved = await this.#base.db.run(
      'UPDATE gateway.probes SET finished_at = $3, facts = $4 WHERE channel = $1 AND started_at = $2 AND finished_at IS NULL',
      ...[channel, started_at, finished_at, facts],
    );
    return saved > 0;
  }

  async cancel(channel: string, at: number, call: ProbeCall | null): Promise<ProbeView> {
    return await this.#base.db.transaction(async (tx) => {
      const row = await tx.one<ProbeRow>(
        `SELECT ${COLUMNS} FROM gateway.probes WHERE channel = $1 FOR UPDATE`,
        channel,
      );
      if (!row) throw neverProbed(channel);
      const cancelled = cancelledProbe(probeOf(row), at, call);
      await tx.run(
        'UPDATE gateway.probes SET finished_at = $2, facts = $3 WHERE channel = $1',
        ...[channel, at, probeRowOf(cancelled).facts],
      );
      return cancelled;
    });
  }

  async of(channel: string): Promise<ProbeView | null> {
    const row = await this.#base.db.one<ProbeRow>(`SELECT ${COLUMNS} FROM gateway.probes WHERE channel = $1`, channel);
    return row ? probeOf(row) : null;
  }

  async running(): Promise<ProbeView[]> {
    const rows = await this.#base.db.all<ProbeRow>(`SELECT ${COLUMNS} FROM gateway.probes WHERE finished_at IS NULL`);
    return rows.map(probeOf);
  }
}
