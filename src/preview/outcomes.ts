import type { PreviewOutcome } from '../model.js';
import type { PastItem } from '../store/history.js';

/** One item that has another outcome under the changed settings. */
export interface ChangedItem {
  readonly id: string;
  /** Id of its webhook. */
  readonly webhook: string;
  readonly channel: string;
  readonly event: string;
  readonly messageId: string | null;
  readonly receivedAt: number;
  /** Under the changed settings. */
  readonly verdict: PastItem['verdict'];
  readonly rule: number;
}

export interface Difference {
  readonly before: PreviewOutcome;
  readonly after: PreviewOutcome;
  readonly count: number;
  /** The first of them, oldest first. */
  readonly items: readonly ChangedItem[];
}

export type OutcomeCounts = Readonly<Partial<Record<PreviewOutcome, number>>>;

/** Items shown of each difference. */
const MOST_SHOWN = 100;

/** Counts the outcomes of items under two settings, and keeps some of the items whose outcome differs. */
export class OutcomeTally {
  readonly before: Partial<Record<PreviewOutcome, number>> = {};
  readonly after: Partial<Record<PreviewOutcome, number>> = {};
  readonly #differences = new Map<
    string,
    { before: PreviewOutcome; after: PreviewOutcome; count: number; items: ChangedItem[] }
  >();

  /** An item that the target takes under neither settings does not count. */
  add(before: PreviewOutcome, after: PreviewOutcome, item: () => ChangedItem): void {
    if (before === 'not_subscribed' && after === 'not_subscribed') return;
    this.before[before] = (this.before[before] ?? 0) + 1;
    this.after[after] = (this.after[after] ?? 0) + 1;
    if (before === after) return;
    const key = `${before} ${after}`;
    const difference = this.#differences.get(key) ?? { before, after, count: 0, items: [] };
    this.#differences.set(key, difference);
    difference.count += 1;
    if (difference.items.length < MOST_SHOWN) difference.items.push(item());
  }

  /** The most frequent first. */
  get differences(): readonly Difference[] {
    return [...this.#differences.values()].sort((one, other) => other.count - one.count);
  }
}
