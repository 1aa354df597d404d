import { HOUR_MS, MINUTE_MS } from './durations.js';
import type { Effects } from './effects.js';

/** NTP corrects less than this all the time, and so much earlier or later nothing is missed. */
const LEAST_JUMP_MS = 10 * MINUTE_MS;
const CONFIRMED_AFTER_MS = HOUR_MS;

export interface ConfirmedClockOptions {
  readonly effects: Pick<Effects, 'now' | 'monotonic'>;
  /** The last confirmed time before the start of the process; null: unknown. */
  readonly confirmedAt: number | null;
  /** The clock jumped forward by `byMs`, or the process was down for as long, which looks the same. */
  readonly onJump: (byMs: number) => void;
}

/**
 * The time for work that cannot be undone, such as pruning. A clock that is ahead by a year, for one sweep, would empty the
 * store. So after a jump forward the time counts as unknown until the clock has run evenly for an hour: long enough for NTP,
 * or a person, to correct it. A machine that was off for weeks looks the same at its start, and waits as long.
 */
export class ConfirmedClock {
  readonly #effects: ConfirmedClockOptions['effects'];
  readonly #onJump: ConfirmedClockOptions['onJump'];
  #offsetMs: number;
  /** By the monotonic clock; null: the time is confirmed. */
  #doubtedSince: number | null = null;

  constructor({ effects, confirmedAt, onJump }: ConfirmedClockOptions) {
    this.#effects = effects;
    this.#onJump = onJump;
    const [now, monotonic] = [effects.now(), effects.monotonic()];
    this.#offsetMs = now - monotonic;
    if (confirmedAt === null) this.#doubtedSince = monotonic;
    else this.#doubtAfter(now - confirmedAt, monotonic);
  }

  /** The time, in milliseconds since the epoch; null: it is not confirmed. To be asked once a minute at least. */
  now(): number | null {
    const [now, monotonic] = [this.#effects.now(), this.#effects.monotonic()];
    const offsetMs = now - monotonic;
    this.#doubtAfter(offsetMs - this.#offsetMs, monotonic);
    this.#offsetMs = offsetMs;
    if (this.#doubtedSince !== null && monotonic - this.#doubtedSince < CONFIRMED_AFTER_MS) return null;
    this.#doubtedSince = null;
    return now;
  }

  #doubtAfter(jumpMs: number, monotonic: number): void {
    if (jumpMs < LEAST_JUMP_MS) return;
    this.#doubtedSince = monotonic;
    this.#onJump(Math.round(jumpMs));
  }
}
