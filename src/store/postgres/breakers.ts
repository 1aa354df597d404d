import type { Breaker } from '../../model.js';
import type { Database, Transaction } from './database.js';
import type { Base } from './base.js';
import type { KeptBreaker, KeptBreakers } from '../breakers.js';

interface BreakerRow {
  readonly target_id: string;
  readonly state: Breaker['state'];
  readonly consecutive_failures: number;
  readonly times_opened: number;
  readonly opened_at: number | null;
  readonly next_probe_at: number | null;
}

export class PostgresBreakers implements KeptBreakers {
  readonly #db: Database;

  constructor({ db }: Pick<Base, 'db'>) {
    this.#db = db;
  }

  async notClosed(): Promise<(KeptBreaker & { targetId: string })[]> {
    const rows = await this.#db.all<BreakerRow>(
      `SELECT t.id AS target_id, b.state, b.consecutive_failures, b.times_opened, b.opened_at, b.next_probe_at
       FROM gateway.breakers b JOIN gateway.targets t ON t.number = b.target ORDER BY b.target`,
    );
    return rows.map((row) => ({
      targetId: row.target_id,
      state: row.state,
      consecutiveFailures: row.consecutive_failures,
      timesOpened: row.times_opened,
      openedAt: row.opened_at,
      nextProbeAt: row.next_probe_at,
    }));
  }

  async keep(targetId: string, breaker: KeptBreaker | null): Promise<void> {
    await this.#db.transaction(async (tx) => {
      // The target may be removed at the same moment, so this locks the registry, without any channel.
      await tx.lockChannels([]);
      if (breaker === null)
        await tx.run(
          'DELETE FROM gateway.breakers b USING gateway.targets t WHERE t.number = b.target AND t.id = $1',
          targetId,
        );
      else await upsert(tx, targetId, breaker);
    });
  }
}

/** For use in the transaction that removes the target. @param target its number */
export async function forgetBreaker(tx: Transaction, target: number): Promise<void> {
  await tx.run('DELETE FROM gateway.breakers WHERE target = $1', target);
}

async function upsert(tx: Transaction, targetId: string, breaker: KeptBreaker): Promise<void> {
  await tx.run(
    `INSERT INTO gateway.breakers AS b (target, version, state, consecutive_failures, times_opened, opened_at, next_probe_at)
     SELECT number, 1, $2::text, $3::int, $4::int, $5::bigint, $6::bigint FROM gateway.targets WHERE id = $1 AND removed_at IS NULL
     ON CONFLICT (target) DO UPDATE SET version = b.version + 1, state = excluded.state,
       consecutive_failures = excluded.consecutive_failures, times_opened = excluded.times_opened,
       opened_at = excluded.opened_at, next_probe_at = excluded.next_probe_at`,
    targetId,
    breaker.state,
    breaker.consecutiveFailures,
    breaker.timesOpened,
    whole(breaker.openedAt),
    whole(breaker.nextProbeAt),
  );
}

/** Jitter makes fractions of a millisecond. */
function whole(time: number | null): number | null {
  return time === null ? null : Math.round(time);
}
