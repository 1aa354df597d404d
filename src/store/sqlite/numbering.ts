/** Ids per millisecond before they run ahead of the clock. 2^53 / 2048 milliseconds last until the year 2109. */
const PER_MILLISECOND = 2048;

/**
 * Generates row ids: each is greater than all before it and near `now * 2048`. So ids sort in the order of recording even
 * when the clock jumps back, and a recreated database never repeats a `webhook-id`.
 */
export class Ids {
  #last: number;

  /** @param last the greatest id so far */
  constructor(last: number) {
    this.#last = last;
  }

  next(now: number): number {
    this.#last = Math.max(this.#last + 1, leastId(now));
    return this.#last;
  }
}

/** The least id that can be generated at `now` or later. An earlier id can be greater if the clock has jumped back. */
export function leastId(now: number): number {
  return now * PER_MILLISECOND;
}

/** The least id of a row that was recorded at or after `time`. */
export function leastIdSince(time: number): number {
  return time * PER_MILLISECOND;
}

/** About when an id was generated: an id that ran ahead of the clock tells a later time. */
export function timeOfId(id: number): number {
  return Math.floor(id / PER_MILLISECOND);
}
