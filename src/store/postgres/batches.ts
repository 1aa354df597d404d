import { nextTurn } from '../../event-loop.js';
import { GatewayError } from '../../errors.js';

interface Pending<Work, Result> {
  readonly work: Work;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Work of one kind that shares transactions: what comes while one runs waits for the next. So batches grow by themselves under
 * load, and a single piece of work waits for one turn of the event loop.
 */
export class Batches<Work, Result> {
  readonly #run: (batch: readonly Work[]) => Promise<readonly Result[]>;
  readonly #keyOf: (work: Work) => string;
  readonly #most: number;
  #pending: Pending<Work, Result>[] = [];
  #running: Promise<void> | null = null;

  /**
   * @param run returns one result for each piece of work, in order
   * @param keyOf no two pieces of work with the same key are in one batch
   * @param most pieces of work in one batch
   */
  constructor(
    run: (batch: readonly Work[]) => Promise<readonly Result[]>,
    { keyOf, most }: { keyOf: (work: Work) => string; most: number },
  ) {
    this.#run = run;
    this.#keyOf = keyOf;
    this.#most = most;
  }

  /** Resolves after the commit that holds this work. */
  async add(work: Work): Promise<Result> {
    return await new Promise<Result>((resolve, reject) => {
      this.#pending.push({ work, resolve, reject });
      this.#running ??= nextTurn().then(async () => await this.#work());
    });
  }

  /** Resolves when no work is pending. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #work(): Promise<void> {
    while (this.#pending.length > 0) await this.#runTogether(this.#nextBatch());
    this.#running = null;
  }

  #nextBatch(): Pending<Work, Result>[] {
    const batch = new Map<string, Pending<Work, Result>>();
    const later: Pending<Work, Result>[] = [];
    for (const each of this.#pending) {
      const key = this.#keyOf(each.work);
      if (batch.size < this.#most && !batch.has(key)) batch.set(key, each);
      else later.push(each);
    }
    this.#pending = later;
    return [...batch.values()];
  }

  /** If the database refuses a batch for a reason of its own, each piece of work runs alone, so that one does not spoil all. */
  async #runTogether(batch: readonly Pending<Work, Result>[]): Promise<void> {
    try {
      const results = await this.#run(batch.map(({ work }) => work));
      for (const [at, { resolve }] of batch.entries()) resolve(results[at] as Result);
    } catch (error) {
      if (batch.length === 1 || isUnavailable(error)) for (const { reject } of batch) reject(error);
      else for (const each of batch) await this.#runTogether([each]);
    }
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'GW_STORE_UNAVAILABLE';
}
