import type { Proof, ResyncMessageStatus } from '../../model.js';
import type { ResyncReport } from '../resyncs.js';

const MOST_FAILURES = 20;

interface CountedMessage {
  readonly status: ResyncMessageStatus;
  readonly known: boolean | number;
  readonly proof: Proof | null;
  readonly calls: number;
  readonly polls: number;
  readonly error: string | null;
}

/** The sums of a report, over the messages of a resync that are added in slices. */
export class ResyncTotals {
  #alreadyKnown = 0;
  #neverSeenBefore = 0;
  #calls = 0;
  #polls = 0;
  #held = 0;
  readonly #proofs = { webhook: 0, poll: 0 };
  readonly #failures = new Map<string, number>();

  /** @param held how many items a release of the message would send */
  add({ status, known, proof, calls, polls, error }: CountedMessage, held: number): void {
    this.#calls += calls;
    this.#polls += polls;
    this.#held += held;
    if (status === 'failed') this.#failures.set(error ?? '', (this.#failures.get(error ?? '') ?? 0) + 1);
    if (status !== 'restored') return;
    if (known) this.#alreadyKnown += 1;
    else this.#neverSeenBefore += 1;
    this.#proofs[proof === 'poll' ? 'poll' : 'webhook'] += 1;
  }

  get totals(): Omit<ResyncReport, 'resync'> {
    const failures = [...this.#failures].map(([error, count]) => ({ error, count }));
    failures.sort((a, b) => b.count - a.count || (a.error < b.error ? -1 : 1));
    return {
      alreadyKnown: this.#alreadyKnown,
      neverSeenBefore: this.#neverSeenBefore,
      calls: this.#calls,
      polls: this.#polls,
      proofs: { ...this.#proofs },
      failures: failures.slice(0, MOST_FAILURES),
      held: this.#held,
    };
  }
}
