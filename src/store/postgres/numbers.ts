import { DAY_MS } from '../../durations.js';
import { utcDay } from '../rules/days.js';
import type { Transaction } from './database.js';

/** Numbers of one value of the sequence. */
const BLOCK = 1024;
/** Ids of one day, and of one partition. */
export const PER_DAY = 2 ** 38;
/**
 * Rows that were carried over from SQLite keep their ids, which are milliseconds * 2048. As days they come before this one
 * until the year 2049, and no gateway has made rows of its own before it.
 */
const FIRST_DAY = utcDay(Date.UTC(2020, 0, 1));
const CARRIED_PER_MILLISECOND = 2048;

/**
 * Numbers for the rows of one transaction. They are taken once the channels are locked, so within a channel they grow in the
 * order of the commits: the order of lanes (I6). A row's id is made of the day and the number, so that it tells its partition.
 */
export class Numbers {
  readonly #blocks: readonly number[];
  readonly #firstOfDay: number;
  #used = 0;

  /** @param blocks values of the sequence, in ascending order */
  constructor(blocks: readonly number[], now: number) {
    this.#blocks = blocks;
    this.#firstOfDay = leastId(now);
  }

  next(): number {
    const block = this.#blocks[Math.floor(this.#used / BLOCK)];
    if (block === undefined) throw new RangeError('No numbers are left in this transaction.');
    const number = block * BLOCK + (this.#used % BLOCK);
    this.#used += 1;
    return number;
  }

  /** The id of the row with this number. */
  idOf(number: number): number {
    return this.#firstOfDay + (number % PER_DAY);
  }

  nextId(): number {
    return this.idOf(this.next());
  }
}

/** How many blocks hold `count` numbers. */
export function blocksFor(count: number): number {
  return Math.max(1, Math.ceil(count / BLOCK));
}

/** Takes `count` numbers. For use after the channels are locked. */
export async function takeNumbers(tx: Transaction, count: number, now: number): Promise<Numbers> {
  return new Numbers(await takeBlocks(tx, blocksFor(count)), now);
}

/** The next values of the sequence, in ascending order. */
export async function takeBlocks(tx: Transaction, count: number): Promise<number[]> {
  const rows = await tx.all<{ block: number }>(
    "SELECT nextval('gateway.blocks') AS block FROM generate_series(1, $1)",
    count,
  );
  return rows.map(({ block }) => block).sort((one, other) => one - other);
}

/** The least id of the day of this time. Rows of that day may be older: a condition on their time belongs beside it. */
export function leastId(time: number): number {
  return utcDay(time) * PER_DAY;
}

/** Whether the ids of a partition come from SQLite. */
export function isCarriedDay(day: number): boolean {
  return day < FIRST_DAY;
}

/** When the rows of a partition were recorded at the latest, Unix milliseconds. */
export function endOfDay(day: number): number {
  return isCarriedDay(day) ? ((day + 1) * PER_DAY) / CARRIED_PER_MILLISECOND : (day + 1) * DAY_MS;
}

/** The UTC day of a row, counted from the Unix epoch. */
export function dayOfId(id: number): number {
  return Math.floor(id / PER_DAY);
}

/** When the day of a row began. */
export function dayStart(day: number): number {
  return day * DAY_MS;
}
