import type { ReleaseFilter } from '../items.js';
import { BYTES_PER_STEP, foundRelease, NO_BOUNDS, RELEASES_PER_STEP, steppedReleases } from '../rules/bulk-work.js';
import type { Bounds, BulkCursor, FoundWork, Scanned, Stepped } from '../rules/bulk-work.js';
import { isMessageItself, repetitionsOf } from '../rules/held-items.js';
import { messageKeysOf } from '../rules/item-filters.js';
import { newestFirst } from '../rules/item-views.js';
import { noSuchResync } from '../rules/registrations.js';
import { isNotHeld, subscribersOf, withoutDelivery } from '../rules/release.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import { SentItems } from '../rules/sent-items.js';
import type { Base } from './base.js';
import { ROWS_PER_SLICE } from './bulk-operation.js';
import type { BulkOperation } from './bulk-operation.js';
import type { Queries, Transaction } from './queries.js';
import { allOf, Params } from './filters.js';
import { HELD_COLUMNS } from './held-items.js';
import type { HeldRow } from './held-items.js';
import { uuidOf } from './keys.js';
import { sentItemsAt } from './left-out-items.js';
import type { RegistryState } from './registry-cache.js';
import { byMessage, ReleaseBatch } from './release-batch.js';
import { ReleasedWebhooks } from './released-webhooks.js';
import { itemConditions, SIGHTING_TABLES } from './sightings.js';

/** A held item with whether a release takes it. */
type MatchedRow = HeldRow & { readonly matches: boolean };

/** Items above the place `after`, up to `end`; null: all that follow. */
interface PlaceRange {
  readonly after: BulkCursor;
  readonly end: BulkCursor | null;
}

/** Releases held items in the order of recording, each like a release of a single item. */
export class BulkRelease implements BulkOperation<ReleaseFilter> {
  readonly start = [0, 0];
  readonly #base: Base;

  constructor(base: Base) {
    this.#base = base;
  }

  async checkFilter({ targets = [], resync }: ReleaseFilter, registry: RegistryState, queries: Queries): Promise<void> {
    for (const id of targets) registry.requireTarget(id);
    if (resync === undefined) return;
    const found = await queries.one('SELECT r.number FROM gateway.resyncs r WHERE r.id = $1', resync);
    if (!found) throw noSuchResync(resync);
  }

  async scan(filter: ReleaseFilter, after: BulkCursor): Promise<Scanned> {
    const { db, registry } = this.#base;
    const end = await endOfSlice(db, NO_BOUNDS, after);
    const rows = await this.#rowsOfSlice(db, filter, NO_BOUNDS, { after, end });
    const keys = new Set(rows.flatMap((row) => (isMessageItself(row) ? (row.message_key ?? []) : [])));
    const ofMessage = byMessage(await matchedOf(db, [...keys], filter));
    const newest = new Map<HeldRow, HeldRow>();
    for (const row of rows) {
      const repetitions = repetitionsOf<HeldRow>(row, () => ofMessage.get(row.message_key ?? '') ?? []);
      if (!isCoveredByEarlier(row, ofMessage)) newest.set(row, repetitions.at(-1) ?? row);
    }
    const [state, sent] = await Promise.all([registry.current(), sentItemsAt(db, [...newest.values()])]);
    const found = [...newest].map(([row, sends]) => releasable(row, sends, filter, { state, sent }));
    return { found, next: end };
  }

  async step(tx: Transaction, filter: ReleaseFilter, bounds: Bounds, after: BulkCursor): Promise<Stepped> {
    const end = await endOfSlice(tx, bounds, after);
    const rows = await this.#rowsOfSlice(tx, filter, bounds, { after, end }, RELEASES_PER_STEP);
    if (rows.length === 0) return steppedReleases([], end);
    const made = await this.#release(tx, rows, filter);
    const last = rows[made.length - 1];
    const isSliceDone = made.length === rows.length && rows.length < RELEASES_PER_STEP;
    return steppedReleases(made, isSliceDone || !last ? end : [last.webhook_id, last.position]);
  }

  /** Releases the first rows. Returns the number of new deliveries of each. @param rows as they were read without the locks */
  async #release(tx: Transaction, rows: readonly HeldRow[], { targets }: ReleaseFilter): Promise<number[]> {
    const webhooks = new ReleasedWebhooks();
    const ids = rows.map(({ webhook_id: id }) => id);
    await webhooks.load(tx, ids, BYTES_PER_STEP);
    await tx.lockChannels(rows.map(({ channel }) => channel));
    const batch = await ReleaseBatch.read(this.#base, tx, rows, webhooks);
    const chosen = existing(batch.registry, targets);
    const made: number[] = [];
    for (const row of rows) {
      if (batch.bytesWritten >= BYTES_PER_STEP) break;
      if (webhooks.bytesRead >= BYTES_PER_STEP && !webhooks.has(row.webhook_id)) break;
      made.push(await releaseRow(batch, row, chosen));
    }
    await batch.write();
    return made;
  }

  async #rowsOfSlice(
    queries: Queries,
    filter: ReleaseFilter,
    { number }: Bounds,
    { after, end }: PlaceRange,
    limit = ROWS_PER_SLICE,
  ): Promise<HeldRow[]> {
    const { channels } = await this.#base.registry.current();
    const keys = messageKeysOf(filter, () => channels.keys());
    const params = new Params();
    const conditions = [...above(after, params), `s.webhook_id < ${params.add(number)}`];
    if (end) {
      const [webhookId = 0, position = 0] = end;
      const id = params.add(webhookId);
      conditions.push(`s.webhook_id <= ${id}`, `(s.webhook_id, s.position) <= (${id}, ${params.add(position)})`);
    }
    if (keys) conditions.push(`s.message_key = ANY(${params.add(keys.map(uuidOf))}::uuid[])`);
    conditions.push(...releaseConditions(filter, params));
    return await queries.all<HeldRow>(
      `SELECT ${HELD_COLUMNS} FROM ${SIGHTING_TABLES} WHERE s.held AND ${allOf(conditions)}
       ORDER BY s.webhook_id, s.position LIMIT ${params.add(limit)}`,
      ...params.values,
    );
  }
}

/** The last place of the next slice; null: the rows that are left fit into one. */
async function endOfSlice(queries: Queries, { number }: Bounds, after: BulkCursor): Promise<BulkCursor | null> {
  const params = new Params();
  const conditions = [...above(after, params), `s.webhook_id < ${params.add(number)}`];
  const row = await queries.one<{ webhook_id: number; position: number }>(
    `SELECT s.webhook_id, s.position FROM gateway.sightings s WHERE s.held AND ${allOf(conditions)}
     ORDER BY s.webhook_id, s.position LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    ...params.values,
  );
  return row ? [row.webhook_id, row.position] : null;
}

/** Items above this place. The first condition limits the days that are read. */
function above([webhookId = 0, position = 0]: BulkCursor, params: Params): string[] {
  const id = params.add(webhookId);
  return [`s.webhook_id >= ${id}`, `(s.webhook_id, s.position) > (${id}, ${params.add(position)})`];
}

/** The conditions on a held item and its webhook that a release takes, without those on its message id. */
function releaseConditions(filter: ReleaseFilter, params: Params): string[] {
  const conditions = itemConditions(filter, params);
  return filter.verdict === undefined ? ["s.verdict <> 'duplicate'", ...conditions] : conditions;
}

/** All held items of these messages, oldest first. */
async function matchedOf(queries: Queries, keys: readonly string[], filter: ReleaseFilter): Promise<MatchedRow[]> {
  if (keys.length === 0) return [];
  const params = new Params();
  const all = params.add(keys);
  return await queries.all<MatchedRow>(
    `SELECT ${HELD_COLUMNS}, (${allOf(releaseConditions(filter, params))}) AS matches FROM ${SIGHTING_TABLES}
     WHERE s.message_key = ANY(${all}::uuid[]) AND s.held AND s.carrier = 'messages' ORDER BY s.webhook_id, s.position`,
    ...params.values,
  );
}

/** Whether the filter also matches an earlier repetition: a message is released once, with its first match. */
function isCoveredByEarlier(row: HeldRow, ofMessage: ReadonlyMap<string, readonly MatchedRow[]>): boolean {
  if (!isMessageItself(row)) return false;
  const first = ofMessage.get(row.message_key ?? '')?.find((each) => isMessageItself(each) && each.matches);
  return first !== undefined && newestFirst(first, row) > 0;
}

interface Recorded {
  readonly state: RegistryState;
  readonly sent: ReadonlyMap<number, SentItems>;
}

/** @param sends the item that a release of `row` sends */
function releasable(row: HeldRow, sends: HeldRow, filter: ReleaseFilter, { state, sent }: Recorded): FoundWork {
  const wanted = existing(state, filter.targets) ?? subscribersOf(state.targets.values(), sends);
  return foundRelease(row, wanted, withoutDelivery(wanted, sends, sent.get(sends.webhook_id) ?? new SentItems()));
}

/** The targets with these ids that were not removed; null: no ids are given. */
function existing({ targets }: RegistryState, ids: readonly string[] | undefined): NumberedTarget[] | null {
  return ids ? [...new Set(ids)].flatMap((id) => targets.get(id) ?? []) : null;
}

/** Returns the number of new deliveries; 0: it went with an earlier repetition, or no target needs it. */
async function releaseRow(
  batch: ReleaseBatch,
  row: HeldRow,
  chosen: readonly NumberedTarget[] | null,
): Promise<number> {
  try {
    if (!batch.isHeld(row)) return 0;
    return await batch.releaseNewest(row, chosen);
  } catch (error) {
    if (isNotHeld(error)) return 0;
    throw error;
  }
}
