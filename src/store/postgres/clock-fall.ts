/** Smaller corrections delay nothing that matters. */
const LEAST_FALL_MS = 1000;

/**
 * Notices that the database's clock shows less than before: after a failover to a machine whose clock is behind. What this
 * process's own clock does has no effect on stored times.
 */
export class ClockFall {
  readonly #clock: () => number;
  readonly #listeners: (() => void)[] = [];
  #greatest = -Infinity;

  /** @param clock the database's */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  readonly now = (): number => {
    const now = this.#clock();
    if (now > this.#greatest) this.#greatest = now;
    return now;
  };

  /** By how much it shows less than it has shown, in milliseconds; 0: it does not. */
  byMs(): number {
    const now = this.now();
    return this.#greatest - now < LEAST_FALL_MS ? 0 : this.#greatest - now;
  }

  /** Has what this process remembers of stored times read again. */
  onShifted(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The times that were due by the former clock have been shifted. */
  shifted(): void {
    this.#greatest = -Infinity;
    for (const listener of this.#listeners) listener();
  }
}
