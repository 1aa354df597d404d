import { DAY_MS } from '../../durations.js';
import { utcDay } from '../rules/days.js';
import type { Queries } from './queries.js';

/** Numbers in a block, which is one value of the sequence. */
export const BLOCK = 1024;
/** Ids of one day, and of one partition. */
export const PER_DAY = 2 ** 38;
/**
 * Rows carried over from SQLite keep their ids, which are milliseconds * 2048. Read as days they come before this one until
 * the year 2049, and no other row is older.
 */
const FIRST_DAY = utcDay(Date.UTC(2020, 0, 1));
const CARRIED_PER_MILLISECOND = 2048;
/** How many days an id may be ahead of its row's time: see `IdDays`. */
const ID_DAYS_AHEAD = 1;

/**
 * Numbers for the rows of one transaction. They are taken after the channels are locked, so within a channel they grow in
 * commit order, which is the order of lanes (I6). A row's id combines its day and its number, so it determines the partition.
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

/**
 * The day that goes into the ids of new webhooks. If the clock is set back over midnight, the newest day continues, so that
 * lists by id stay in the order of recording. A clock that was ahead by more than a day is ignored.
 */
export class IdDays {
  #newest: number;

  /** @param newest the highest id so far; null: there is none */
  constructor(newest: number | null) {
    this.#newest = newest === null ? -Infinity : dayOfId(newest);
  }

  /** A time of the day for ids at `now`. */
  timeAt(now: number): number {
    const today = utcDay(now);
    if (this.#newest > today && this.#newest - today <= ID_DAYS_AHEAD) return dayStart(this.#newest);
    this.#newest = today;
    return now;
  }
}

/**
 * After a failover to a standby that was behind, the sequence may be behind too, and repeat values. This skips those of some
 * minutes. (`setval` could set it back if two replicas ran it at once.)
 */
export const SKIP_BLOCKS = "SELECT count(nextval('gateway.blocks')) FROM generate_series(1, 4096)";

/** How many blocks hold `count` numbers. */
export function blocksFor(count: number): number {
  return Math.max(1, Math.ceil(count / BLOCK));
}

/** Takes `count` numbers. For rows of channels: in a transaction, after these are locked. */
export async function takeNumbers(queries: Queries, count: number, now: number): Promise<Numbers> {
  return new Numbers(await takeBlocks(queries, blocksFor(count)), now);
}

/** Takes `count` blocks, in ascending order. */
export async function takeBlocks(queries: Queries, count: number): Promise<number[]> {
  const rows = await queries.all<{ block: number }>(
    "SELECT nextval('gateway.blocks') AS block FROM generate_series(1, $1)",
    count,
  );
  return rows.map(({ block }) => block).sort((one, other) => one - other);
}

/** The lowest id of this time's day. Rows of that day may be older, so add a condition on their time. */
export function leastId(time: number): number {
  return firstIdOf(utcDay(time));
}

/** The first id of a UTC day, counted from the Unix epoch. */
export function firstIdOf(day: number): number {
  return day * PER_DAY;
}

/** Higher than the id of every row recorded at or before this time. */
export function endOfIds(time: number): number {
  return firstIdOf(utcDay(time) + ID_DAYS_AHEAD + 1);
}

/** Greater than the ids of the deliveries that were recorded with this webhook. Carried over, they may be of the next day. */
export function endOfRecordedWith(webhookId: number): number {
  const day = dayOfId(webhookId);
  return firstIdOf(day + (isCarriedDay(day) ? 2 : 1));
}

/** Whether the ids of a partition come from SQLite. */
export function isCarriedDay(day: number): boolean {
  return day < FIRST_DAY;
}

/** The lowest id that SQLite gave at this time or later. */
export function leastCarriedId(time: number): number {
  return Math.floor(time) * CARRIED_PER_MILLISECOND;
}

/** The UTC day of a row, counted from the Unix epoch. */
export function dayOfId(id: number): number {
  return Math.floor(id / PER_DAY);
}

/** When a day of ids began, Unix milliseconds: none of its rows is older. */
export function dayStart(day: number): number {
  return isCarriedDay(day) ? (day * PER_DAY) / CARRIED_PER_MILLISECOND : day * DAY_MS;
}

/** When a day of ids ended, Unix milliseconds. */
export function dayEnd(day: number): number {
  return dayStart(day + 1);
}
