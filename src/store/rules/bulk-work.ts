import type { Verdict } from '../../model.js';
import type { SurveyCounts } from '../jobs.js';
import type { NumberedTarget } from './registry-rows.js';

/** Small enough that a step takes a few milliseconds and webhooks hardly wait for it. */
export const RETRIES_PER_STEP = 200;
export const RELEASES_PER_STEP = 50;
/** Bytes of webhooks read or bodies written: a step ends with the release that exceeds this. */
export const BYTES_PER_STEP = 1024 * 1024;
/** Deliveries or items that a survey shows. */
const SAMPLE_SIZE = 20;

/** The place of the row that was handled last; the next slice begins after it. */
export type BulkCursor = readonly number[];

/** A job takes only what existed when it was made. */
export interface Bounds {
  /** The number of the job: items with this number or a greater one came later. */
  readonly number: number;
  readonly madeAt: number;
}

export const NO_BOUNDS: Bounds = { number: Number.MAX_SAFE_INTEGER, madeAt: Number.MAX_SAFE_INTEGER };

interface Slice {
  /** Where the next slice begins; null: nothing is left. */
  readonly next: BulkCursor | null;
}

/** A delivery or item that a step would send; without targets: one that it would leave. */
export interface FoundWork {
  /** The id of a delivery, or webhook and position of an item. */
  readonly place: BulkCursor;
  readonly verdicts: readonly Verdict[];
  /** Ids of targets. */
  readonly targets: readonly string[];
  /** Ids of targets that have a delivery of the item already. */
  readonly alreadySent?: readonly string[];
}

export interface Scanned extends Slice {
  readonly found: readonly FoundWork[];
}

export interface Stepped extends Slice {
  readonly done: number;
  readonly skipped: number;
  /** Deliveries that became due. */
  readonly deliveries: number;
}

/**
 * A held item that a release would send.
 * @param wanted the targets that the release is for
 * @param unsent those of them that have no delivery of it
 */
export function foundRelease(
  row: { readonly webhook_id: number; readonly position: number; readonly verdict: Verdict },
  wanted: readonly NumberedTarget[],
  unsent: readonly NumberedTarget[],
): FoundWork {
  return {
    place: [row.webhook_id, row.position],
    verdicts: [row.verdict],
    targets: unsent.map(({ target }) => target.id),
    alreadySent: wanted.filter((each) => !unsent.includes(each)).map(({ target }) => target.id),
  };
}

/** What one step has made of its rows. @param made how many deliveries of each row became due; 0: it was left */
export function steppedReleases(made: readonly number[], next: BulkCursor | null): Stepped {
  return {
    done: made.filter((count) => count > 0).length,
    skipped: made.filter((count) => count === 0).length,
    deliveries: made.reduce((sum, count) => sum + count, 0),
    next,
  };
}

/**
 * Whether everything in a delivery that was left out has been released to its target since: bulk work does not send it again.
 * @param positions null: it carries all items of its webhook
 * @param verdicts one per item
 * @param wasSent whether the target got the item at a position
 */
export function wasSentSince(
  { positions, verdicts }: { readonly positions: readonly number[] | null; readonly verdicts: string },
  wasSent: (position: number) => boolean,
): boolean {
  return (positions ?? [...verdicts.split(',').keys()]).every(wasSent);
}

/** What bulk work would send, counted. */
export interface Surveyed extends SurveyCounts {
  /** The places of the first ones. */
  readonly sample: readonly BulkCursor[];
}

/** Counts what bulk work would send, slice by slice. */
export class WorkTally {
  readonly #byTarget: Record<string, number> = {};
  readonly #alreadySent: Record<string, number> = {};
  readonly #byVerdict: Partial<Record<Verdict, number>> = {};
  readonly #sample: BulkCursor[] = [];
  #count = 0;

  add(found: readonly FoundWork[]): void {
    for (const { place, targets, alreadySent = [], verdicts } of found) {
      for (const id of alreadySent) this.#alreadySent[id] = (this.#alreadySent[id] ?? 0) + 1;
      if (targets.length === 0) continue;
      this.#count += 1;
      if (this.#sample.length < SAMPLE_SIZE) this.#sample.push(place);
      for (const id of targets) this.#byTarget[id] = (this.#byTarget[id] ?? 0) + 1;
      for (const verdict of new Set(verdicts)) this.#byVerdict[verdict] = (this.#byVerdict[verdict] ?? 0) + 1;
    }
  }

  get surveyed(): Surveyed {
    return {
      count: this.#count,
      byTarget: this.#byTarget,
      alreadySent: this.#alreadySent,
      byVerdict: this.#byVerdict,
      sample: this.#sample,
    };
  }
}
