import { SECOND_MS } from '../../durations.js';
import type { Base } from './base.js';
import { requireUsableSchema } from './schema-version.js';
import type { Introduction, Replica, Replicas } from '../replicas.js';

const HEARTBEAT_MS = 5 * SECOND_MS;
/** A replica that was not seen for this long is gone. */
export const GONE_AFTER_MS = 15 * SECOND_MS;

interface ReplicaRow {
  readonly id: string;
  readonly started_at: number;
  readonly seen_at: number;
  readonly name: string | null;
  readonly settings: string;
}

/** The replicas on this database. Each writes a row every five seconds. */
export class PostgresReplicas implements Replicas {
  readonly #base: Base;
  readonly #onBeat: () => void;
  readonly #stopped = new AbortController();
  readonly #startedAt: number;
  readonly #id: string;
  #beating: Promise<void> = Promise.resolve();
  #alive = 1;
  #introduction: Introduction | null = null;

  /** @param onBeat called after each sign of life, every few seconds */
  constructor(base: Base, onBeat: () => void) {
    this.#base = base;
    this.#onBeat = onBeat;
    this.#id = base.effects.randomBytes(12).toString('base64url');
    this.#startedAt = base.now();
  }

  alive(): number {
    return this.#alive;
  }

  async list(): Promise<readonly Replica[]> {
    const { db, now } = this.#base;
    const rows = await db.all<ReplicaRow>(
      'SELECT id, started_at, seen_at, name, settings FROM gateway.replicas WHERE seen_at > $1 ORDER BY started_at, id',
      now() - GONE_AFTER_MS,
    );
    return rows.map(({ id, started_at: startedAt, seen_at: seenAt, name, settings }) => ({
      ...{ id, startedAt, seenAt, name },
      settings: JSON.parse(settings) as Replica['settings'],
    }));
  }

  async introduce(self: Introduction): Promise<void> {
    this.#introduction = self;
    await this.#beat();
  }

  async start(): Promise<void> {
    await this.#beat();
    this.#beating = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#beating;
    await this.#base.db.run('DELETE FROM gateway.replicas WHERE id = $1', this.#id).catch(() => undefined);
  }

  async #loop(): Promise<void> {
    const { effects } = this.#base;
    for (;;) {
      await effects.sleep(HEARTBEAT_MS, this.#stopped.signal);
      if (this.#stopped.signal.aborted) return;
      // Nothing works without the database, and every operation reports why.
      await this.#beat().then(this.#onBeat, () => undefined);
    }
  }

  async #beat(): Promise<void> {
    const { db, now, measureClock } = this.#base;
    await requireUsableSchema(db); // a replica that it excludes is no longer one
    await measureClock();
    const at = now();
    await db.run(
      `INSERT INTO gateway.replicas (id, started_at, seen_at, name, settings) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, name = excluded.name, settings = excluded.settings`,
      this.#id,
      this.#startedAt,
      at,
      this.#introduction?.name ?? null,
      JSON.stringify(this.#introduction?.settings ?? {}),
    );
    const row = await db.one<{ alive: number }>(
      'SELECT count(*) AS alive FROM gateway.replicas WHERE seen_at > $1',
      at - GONE_AFTER_MS,
    );
    await db.run('DELETE FROM gateway.replicas WHERE seen_at < $1', at - GONE_AFTER_MS);
    this.#alive = Math.max(1, row?.alive ?? 1);
  }
}
