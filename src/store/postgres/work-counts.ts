import type { Database } from './database.js';
import type { Base } from './base.js';
import { WITH_WEBHOOK } from './sightings.js';
import type { WorkCount, WorkUnderWay } from '../registry.js';

/** Counting stops here: "more than 1000" is enough to know before a channel is removed. */
const MOST_COUNTED = 1000;
/** Rows that are read for one number, whether they count or not. */
const MOST_READ = 5000;

const NOTHING: WorkCount = { count: 0, isMore: false };

interface CountRow {
  readonly count: number;
  readonly rows_read: number;
}

const PENDING = `SELECT count(*) FILTER (WHERE q.channel = $1) AS count, count(*) AS rows_read
  FROM (SELECT channel FROM gateway.queue LIMIT ${MOST_READ}) q`;
const PENDING_OF_TARGET = `SELECT count(*) AS count, 0 AS rows_read
  FROM (SELECT q.id FROM gateway.queue q WHERE q.target = $1 ORDER BY q.id LIMIT ${MOST_COUNTED + 1}) p`;
const HELD = `SELECT count(*) FILTER (WHERE s.verdict <> 'duplicate' AND w.channel = $1) AS count, count(*) AS rows_read
  FROM (SELECT webhook_id, verdict FROM gateway.sightings WHERE held ORDER BY webhook_id DESC, position DESC LIMIT ${MOST_READ}) s
    ${WITH_WEBHOOK}`;
const RESYNCS = `SELECT count(DISTINCT m.resync) AS count, count(*) AS rows_read
  FROM (SELECT resync FROM gateway.resync_messages
    WHERE channel = $1 AND status IN ('queued', 'requesting', 'waiting') LIMIT ${MOST_READ}) m`;
const AUDITS = `SELECT count(*) AS count, count(*) AS rows_read
  FROM (SELECT number FROM gateway.audits WHERE channel = $1 AND status = 'running' LIMIT ${MOST_READ}) a`;

/** What is under way for a target or channel: each number reads some thousand rows at most. */
export class WorkCounts {
  readonly #db: Database;

  constructor({ db }: Pick<Base, 'db'>) {
    this.#db = db;
  }

  /** @param target its number */
  async ofTarget(target: number): Promise<WorkUnderWay> {
    const pendingDeliveries = workCount(await this.#db.one<CountRow>(PENDING_OF_TARGET, target));
    return { pendingDeliveries, heldItems: NOTHING, openResyncs: NOTHING, runningAudits: NOTHING };
  }

  async ofChannel(channel: string): Promise<WorkUnderWay> {
    const [pendingDeliveries, heldItems, openResyncs, runningAudits] = await Promise.all(
      [PENDING, HELD, RESYNCS, AUDITS].map(async (sql) => workCount(await this.#db.one<CountRow>(sql, channel))),
    );
    return {
      pendingDeliveries: pendingDeliveries ?? NOTHING,
      heldItems: heldItems ?? NOTHING,
      openResyncs: openResyncs ?? NOTHING,
      runningAudits: runningAudits ?? NOTHING,
    };
  }
}

function workCount(row: CountRow | undefined): WorkCount {
  if (!row) return NOTHING;
  return {
    count: Math.min(row.count, MOST_COUNTED),
    isMore: row.count > MOST_COUNTED || row.rows_read === MOST_READ,
  };
}
