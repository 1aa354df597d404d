/** Smaller corrections are ignored. */
const LEAST_FALL_MS = 1000;

/**
 * Detects that the database's clock was set back, for example by a failover to a machine whose clock is behind. The clocks
 * of the replicas' machines do not affect stored times.
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

  /** By how many milliseconds the clock is behind the latest time that it has shown; 0: it is not. */
  byMs(): number {
    const now = this.now();
    return this.#greatest - now < LEAST_FALL_MS ? 0 : this.#greatest - now;
  }

  /** Registers a listener that forgets stored times kept in memory. */
  onShifted(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Stored times were shifted to the present clock. */
  shifted(): void {
    this.#greatest = -Infinity;
    for (const listener of this.#listeners) listener();
  }
}
