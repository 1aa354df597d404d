import { nextTurn } from '../../event-loop.js';
import { isUnavailable } from '../../errors.js';

interface Pending<Work, Result> {
  readonly work: Work;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** The outcome of one piece of work of a batch. */
export type Outcome<Result> = { readonly result: Result } | { readonly refusal: Error };

/**
 * Group commit: what waits while a transaction runs shares the next one. There is one at a time, so the order is that of the
 * calls. Under load batches grow by themselves, and each costs as many round trips as a single piece of work.
 */
export class Batches<Work, Result> {
  readonly #pending: Pending<Work, Result>[] = [];
  readonly #run: (batch: readonly Work[]) => Promise<readonly Outcome<Result>[]>;
  readonly #sizeOf: (work: Work) => number;
  readonly #largest: number;
  #running: Promise<void> | null = null;

  /**
   * @param run commits a batch and returns an outcome for each piece of work; if it throws, nothing was changed, or it is
   *   unknown whether
   * @param largest a batch ends with the piece of work that exceeds it, measured by `sizeOf`
   */
  constructor(
    run: (batch: readonly Work[]) => Promise<readonly Outcome<Result>[]>,
    { largest, sizeOf = () => 1 }: { readonly largest: number; readonly sizeOf?: (work: Work) => number },
  ) {
    this.#run = run;
    this.#largest = largest;
    this.#sizeOf = sizeOf;
  }

  async add(work: Work): Promise<Result> {
    return await new Promise<Result>((resolve, reject) => {
      this.#pending.push({ work, resolve, reject });
      this.#running ??= nextTurn().then(async () => await this.#work());
    });
  }

  /** Resolves when nothing is pending. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #work(): Promise<void> {
    while (this.#pending.length > 0) await this.#runBatch(this.#next());
    this.#running = null;
  }

  #next(): Pending<Work, Result>[] {
    let size = 0;
    const end = this.#pending.findIndex(({ work }) => (size += this.#sizeOf(work)) >= this.#largest);
    return this.#pending.splice(0, end === -1 ? this.#pending.length : end + 1);
  }

  /** If one piece of work makes the database refuse the batch, each piece runs alone, so that the others succeed. */
  async #runBatch(batch: readonly Pending<Work, Result>[]): Promise<void> {
    try {
      const outcomes = await this.#run(batch.map(({ work }) => work));
      for (const [at, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[at];
        if (outcome === undefined) reject(new Error('A piece of work of a batch has no outcome.'));
        else if ('refusal' in outcome) reject(outcome.refusal);
        else resolve(outcome.result);
      }
    } catch (error) {
      if (batch.length > 1 && !isUnavailable(error)) for (const each of batch) await this.#runBatch([each]);
      else for (const { reject } of batch) reject(error);
    }
  }
}
