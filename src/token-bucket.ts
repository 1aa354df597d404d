/**
 * A token bucket: gains `ratePerSecond` tokens a second and holds `burst` at most. Pure: the caller passes the time.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(ratePerSecond: number, burst: number, now: number) {
    this.#perMs = ratePerSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Whole tokens available now. */
  available(now: number): number {
    // A clock that is set back neither adds nor removes tokens.
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = now;
    return Math.floor(this.#tokens);
  }

  /** A negative count gives tokens back. */
  take(count: number): void {
    this.#tokens -= count;
  }

  /** Milliseconds until the next whole token; 0 if there is one now. */
  waitMs(now: number): number {
    return this.available(now) >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#perMs);
  }
}
