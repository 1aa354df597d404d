import type { Histogram } from '../../histogram.js';
import type { ResyncMessageStatus, Verdict } from '../../model.js';
import type { Database } from './database.js';
import type { Base } from './base.js';
import type { HeldCount, Levels, ResyncMessageCount } from '../levels.js';

const MOST_PER_CHANNEL = 10_000;

export class PostgresLevels implements Levels {
  readonly schemaVersion: number;
  readonly commits: Pick<Histogram, 'counts' | 'sumMs'>;
  readonly #db: Database;

  constructor({ db }: Pick<Base, 'db'>, schemaVersion: number) {
    this.#db = db;
    this.schemaVersion = schemaVersion;
    this.commits = db.durations;
  }

  async heldItems(): Promise<readonly HeldCount[]> {
    return await this.#db.all<{ channel: string; verdict: Verdict; count: number }>(
      `SELECT w.channel, s.verdict, count(*) AS count FROM gateway.sightings s JOIN gateway.webhooks w ON w.id = s.webhook_id
       WHERE s.held GROUP BY w.channel, s.verdict ORDER BY w.channel, s.verdict`,
    );
  }

  async resyncMessages(): Promise<readonly ResyncMessageCount[]> {
    return await this.#db.all<{ channel: string; status: ResyncMessageStatus; count: number }>(
      `SELECT c.name AS channel, m.status, count(*) AS count FROM gateway.channels c
         CROSS JOIN LATERAL (SELECT status FROM gateway.resync_messages
           WHERE channel = c.name AND status IN ('queued', 'requesting', 'waiting') LIMIT ${MOST_PER_CHANNEL}) m
       GROUP BY c.name, m.status ORDER BY c.name, m.status`,
    );
  }
}
