import type { Db } from './database.js';
import { ABOVE_ALL_IDS } from './filters.js';
import type { Leases } from './leases.js';
import { ROWS_PER_SLICE, yieldToCommits } from './slices.js';
import type { RegistryTables } from './registry-tables.js';
import type { TargetCounts } from './target-counts.js';
import type { WorkCount, WorkUnderWay } from '../registry.js';

/** Counting stops here: before a channel is removed, "more than 1000" says enough. */
const MOST_COUNTED = 1000;
/** Rows that are read for one number, whether they count or not. */
const MOST_READ = 10 * ROWS_PER_SLICE;

const NOTHING: WorkCount = { count: 0, isMore: false };

/** The rows of one slice: how many of them count, and the place of the last one; null: nothing is left. */
interface Slice {
  readonly counted: number;
  readonly last: Place | null;
}

/** The id of a delivery, or webhook and position of an item. */
type Place = readonly number[];

/** What is under way for a target or channel: numbers that cost a look into an index, or a few slices of rows. Reads only. */
export class WorkCounts {
  readonly #registry: RegistryTables;
  readonly #counts: TargetCounts;
  readonly #leases: Leases;
  readonly #pendingOfChannel;
  readonly #heldOfChannel;
  readonly #inProgress;
  readonly #runningAudits;

  constructor(db: Db, registry: RegistryTables, counts: TargetCounts, leases: Leases) {
    this.#registry = registry;
    this.#leases = leases;
    this.#counts = counts;
    this.#pendingOfChannel = db.prepare<[string, number, number], { id: number; isOurs: number }>(
      `SELECT id, channel = ? AS isOurs FROM deliveries WHERE target = ? AND id > ? AND status = 'pending' AND blocked >= 0
       ORDER BY id LIMIT ${ROWS_PER_SLICE}`,
    );
    this.#heldOfChannel = db.prepare<[string, number, number], { id: number; position: number; isOurs: number }>(
      `SELECT s.webhook_id AS id, s.position, s.verdict <> 'duplicate' AND w.channel = ? AS isOurs
       FROM sightings s INDEXED BY sightings_held CROSS JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.held = 1 AND (s.webhook_id, s.position) < (?, ?)
       ORDER BY s.webhook_id DESC, s.position DESC LIMIT ${ROWS_PER_SLICE}`,
    );
    this.#inProgress = db.prepare<[string], { ids: number; resyncs: number }>(
      `SELECT count(*) AS ids, count(DISTINCT resync) AS resyncs FROM (
         SELECT resync FROM resync_messages WHERE channel = ? AND status IN ('queued', 'requesting', 'waiting') LIMIT ${MOST_READ})`,
    );
    this.#runningAudits = db
      .prepare<[string], number>(
        `SELECT count(*) FROM (SELECT 1 FROM audits WHERE channel = ? AND status = 'running' LIMIT ${MOST_COUNTED + 1})`,
      )
      .pluck();
  }

  /** @throws GatewayError GW_NOT_FOUND */
  ofTarget(id: string): WorkUnderWay {
    const { number } = this.#registry.requireTarget(id);
    const pendingDeliveries = { count: this.#counts.pendingOf(number), isMore: false };
    return { pendingDeliveries, heldItems: NOTHING, openResyncs: NOTHING, runningAudits: NOTHING };
  }

  /** @throws GatewayError GW_NOT_FOUND */
  async ofChannel(name: string): Promise<WorkUnderWay> {
    this.#registry.requireChannel(name);
    const { ids = 0, resyncs = 0 } = this.#inProgress.get(name) ?? {};
    const audits = this.#runningAudits.get(name) ?? 0;
    return {
      openResyncs: { count: resyncs, isMore: ids === MOST_READ },
      runningAudits: { count: Math.min(audits, MOST_COUNTED), isMore: audits > MOST_COUNTED },
      heldItems: await countInSlices([ABOVE_ALL_IDS, 0], (before) => this.#heldSlice(name, before)),
      pendingDeliveries: await this.#pendingOf(name),
    };
  }

  async #pendingOf(channel: string): Promise<WorkCount> {
    let total = NOTHING;
    for (const { number } of this.#registry.targets().values()) {
      if (this.#counts.pendingOf(number) === 0) continue;
      const inFlight = [...this.#leases.of(number).born.values()].filter((lease) => lease.channel === channel).length;
      const { count, isMore } = await countInSlices([0], (after) => this.#pendingSlice(channel, number, after));
      total = { count: Math.min(total.count + inFlight + count, MOST_COUNTED), isMore: total.isMore || isMore };
      if (total.isMore || total.count === MOST_COUNTED) return { ...total, isMore: true };
    }
    return total;
  }

  #pendingSlice(channel: string, target: number, [after = 0]: Place): Slice {
    return sliceOf(this.#pendingOfChannel.all(channel, target, after), ({ id }) => [id]);
  }

  #heldSlice(channel: string, [webhookId = 0, position = 0]: Place): Slice {
    return sliceOf(this.#heldOfChannel.all(channel, webhookId, position), (row) => [row.id, row.position]);
  }
}

function sliceOf<Row extends { readonly isOurs: number }>(rows: readonly Row[], placeOf: (row: Row) => Place): Slice {
  const last = rows.length < ROWS_PER_SLICE ? undefined : rows.at(-1);
  return { counted: rows.filter(({ isOurs }) => isOurs === 1).length, last: last ? placeOf(last) : null };
}

/** Lets webhooks be recorded between two slices. */
async function countInSlices(start: Place, read: (from: Place) => Slice): Promise<WorkCount> {
  let count = 0;
  let from = start;
  for (let rows = 0; rows < MOST_READ; rows += ROWS_PER_SLICE) {
    const { counted, last } = read(from);
    count += counted;
    if (count > MOST_COUNTED) return { count: MOST_COUNTED, isMore: true };
    if (last === null) return { count, isMore: false };
    from = last;
    await yieldToCommits();
  }
  return { count, isMore: true };
}
