import { SECOND_MS } from '../../durations.js';
import type { Base } from './base.js';
import type { Replica, Replicas } from '../replicas.js';

const HEARTBEAT_MS = 5 * SECOND_MS;
/** A replica that was not seen for this long is gone. */
export const GONE_AFTER_MS = 15 * SECOND_MS;

/** The replicas on this database. Each writes a row every five seconds. */
export class PostgresReplicas implements Replicas {
  readonly #base: Base;
  readonly #stopped = new AbortController();
  readonly #startedAt: number;
  readonly #id: string;
  #beating: Promise<void> = Promise.resolve();
  #alive = 1;

  constructor(base: Base) {
    this.#base = base;
    this.#id = base.effects.randomBytes(12).toString('base64url');
    this.#startedAt = base.now();
  }

  alive(): number {
    return this.#alive;
  }

  async list(): Promise<readonly Replica[]> {
    const { db, now } = this.#base;
    const rows = await db.all<{ id: string; started_at: number; seen_at: number }>(
      'SELECT id, started_at, seen_at FROM gateway.replicas WHERE seen_at > $1 ORDER BY started_at, id',
      now() - GONE_AFTER_MS,
    );
    return rows.map(({ id, started_at: startedAt, seen_at: seenAt }) => ({ id, startedAt, seenAt }));
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
      await this.#beat().catch(() => undefined);
    }
  }

  async #beat(): Promise<void> {
    const { db, now, registry, measureClock } = this.#base;
    await registry.refresh(); // a replica that the schema excludes is no longer one
    await measureClock();
    const at = now();
    await db.run(
      `INSERT INTO gateway.replicas (id, started_at, seen_at) VALUES ($1, $2, $3)
       ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`,
      this.#id,
      this.#startedAt,
      at,
    );
    const row = await db.one<{ alive: number }>(
      'SELECT count(*) AS alive FROM gateway.replicas WHERE seen_at > $1',
      at - GONE_AFTER_MS,
    );
    await db.run('DELETE FROM gateway.replicas WHERE seen_at < $1', at - GONE_AFTER_MS);
    this.#alive = Math.max(1, row?.alive ?? 1);
  }
}
