import { nextTurn } from '../../event-loop.js';
import type { Histogram } from '../../histogram.js';
import type { ResyncMessageStatus, Verdict } from '../../model.js';
import type { Db } from './database.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { HeldCount, Levels, ResyncMessageCount } from '../levels.js';

interface HeldRow {
  readonly webhook_id: number;
  readonly position: number;
  readonly channel: string;
  readonly verdict: Verdict;
}

/** Held items that one turn of the event loop reads: two milliseconds or so. */
const HELD_PER_TURN = 500;
const MOST_PER_CHANNEL = 10_000;

export class SqliteLevels implements Levels {
  readonly schemaVersion: number;
  readonly commits: Pick<Histogram, 'counts' | 'sumMs'>;
  readonly #registry: RegistryTables;
  readonly #heldAfter;
  readonly #resyncMessages;

  constructor(db: Db, registry: RegistryTables, commits: Pick<Histogram, 'counts' | 'sumMs'>) {
    this.commits = commits;
    this.#registry = registry;
    this.schemaVersion = db.prepare<[], number>('SELECT user_version FROM pragma_user_version').pluck().get() ?? 0;
    this.#heldAfter = db.prepare<[number, number, number], HeldRow>(
      `SELECT s.webhook_id, s.position, w.channel, s.verdict FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.held = 1 AND (s.webhook_id, s.position) > (?, ?) ORDER BY s.webhook_id, s.position LIMIT ?`,
    );
    this.#resyncMessages = db.prepare<[string, number], { status: ResyncMessageStatus; count: number }>(
      `SELECT status, count(*) AS count FROM (SELECT status FROM resync_messages
         WHERE channel = ? AND status IN ('queued', 'requesting', 'waiting') LIMIT ?) GROUP BY status`,
    );
  }

  async heldItems(): Promise<readonly HeldCount[]> {
    const counts = new Map<string, Map<Verdict, number>>();
    let after: Pick<HeldRow, 'webhook_id' | 'position'> = { webhook_id: 0, position: 0 };
    for (;;) {
      const from = after;
      const rows = await read(() => this.#heldAfter.all(from.webhook_id, from.position, HELD_PER_TURN));
      for (const { channel, verdict } of rows) {
        const ofChannel = counts.get(channel) ?? new Map<Verdict, number>();
        counts.set(channel, ofChannel.set(verdict, (ofChannel.get(verdict) ?? 0) + 1));
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < HELD_PER_TURN) break;
      after = last;
      await nextTurn();
    }
    return [...counts].flatMap(([channel, byVerdict]) =>
      [...byVerdict].map(([verdict, count]) => ({ channel, verdict, count })),
    );
  }

  async resyncMessages(): Promise<readonly ResyncMessageCount[]> {
    const counts: ResyncMessageCount[] = [];
    for (const channel of [...this.#registry.channels().keys()]) {
      const rows = await read(() => this.#resyncMessages.all(channel, MOST_PER_CHANNEL));
      counts.push(...rows.map((row) => ({ channel, ...row })));
      await nextTurn();
    }
    return counts;
  }
}
