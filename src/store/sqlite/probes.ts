import { GatewayError, neverProbed } from '../../errors.js';
import type { ProbeCall, ProbeFacts, Probes, ProbeView } from '../probes.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';

interface ProbeRow {
  channel: string;
  message_id: string | null;
  started_at: number;
  finished_at: number | null;
  facts: string;
}

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
      if (last?.finished_at === null) throw isRunning(viewOf(last));
      this.#replace.run(rowOf(probe));
    });
  }

  async save(probe: ProbeView): Promise<boolean> {
    return await this.#commit.run(() => this.#update.run(rowOf(probe)).changes > 0);
  }

  async cancel(channel: string, at: number, call: ProbeCall | null): Promise<ProbeView> {
    return await this.#commit.run(() => {
      const row = this.#of.get(channel);
      if (!row) throw neverProbed(channel);
      const last = viewOf(row);
      if (last.finishedAt !== null) throw isOver(last, last.finishedAt);
      const facts: ProbeFacts = { ...last.facts, call: last.facts.call ?? call, isCancelled: true };
      const cancelled = { ...last, finishedAt: at, facts };
      this.#update.run(rowOf(cancelled));
      return cancelled;
    });
  }

  async of(channel: string): Promise<ProbeView | null> {
    return await read(() => {
      const row = this.#of.get(channel);
      return row ? viewOf(row) : null;
    });
  }

  async running(): Promise<ProbeView[]> {
    return await read(() => this.#running.all().map(viewOf));
  }

  /** For use inside a transaction. */
  remove(channel: string): void {
    this.#remove.run(channel);
  }
}

function isRunning({ channel, facts }: ProbeView): GatewayError {
  return new GatewayError(
    'GW_CONFLICT',
    `A probe of channel "${channel}" is running, until ${new Date(facts.watchUntil).toISOString()} at the latest. ` +
      `Wait for its end, or cancel it: "channels probe ${channel} --cancel", or DELETE /v1/channels/${channel}/probe.`,
  );
}

function isOver({ channel }: ProbeView, finishedAt: number): GatewayError {
  return new GatewayError(
    'GW_CONFLICT',
    `No probe of channel "${channel}" is running: the last one ended at ${new Date(finishedAt).toISOString()}.`,
  );
}

function rowOf({ channel, messageId, startedAt, finishedAt, facts }: ProbeView): ProbeRow {
  return {
    ...{ channel, message_id: messageId, started_at: startedAt, finished_at: finishedAt },
    facts: JSON.stringify(facts),
  };
}

function viewOf({ channel, message_id, started_at, finished_at, facts }: ProbeRow): ProbeView {
  return {
    ...{ channel, messageId: message_id, startedAt: started_at, finishedAt: finished_at },
    facts: JSON.parse(facts) as ProbeFacts,
  };
}
