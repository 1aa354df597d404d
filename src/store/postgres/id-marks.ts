import { utcDay } from '../rules/days.js';
import type { Database } from './database.js';
import { metaValue, setMeta } from './meta.js';
import { firstIdOf } from './numbers.js';

const MARKS = 'id_marks';

interface Mark {
  readonly setAt: number;
  readonly greatestId: number;
}

/** By day. */
type Marks = Readonly<Record<string, Mark>>;

/**
 * If the clock was ahead, webhooks have ids of days in the future, and by these they would outlive their retention. So the
 * highest id of such a day is stored as a mark: every webhook up to it is at least as old as the mark.
 */
export class IdMarks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @param days those that have partitions */
  async set(days: readonly number[], now: number): Promise<void> {
    const before = await this.#read();
    // A mark from the future was set while the clock was ahead, so its time is wrong.
    const marks = Object.fromEntries(Object.entries(before).filter(([, { setAt }]) => setAt <= now));
    for (const day of days.filter((each) => each > utcDay(now) && marks[each] === undefined)) {
      const row = await this.#db.one<{ id: number | null }>(
        'SELECT max(id) AS id FROM gateway.webhooks WHERE id >= $1 AND id < $2',
        firstIdOf(day),
        firstIdOf(day + 1),
      );
      if (row && row.id !== null) marks[day] = { setAt: now, greatestId: row.id };
    }
    await this.#save(before, marks);
  }

  /** The id below which the webhooks of a day were recorded before `time`; null: it is unknown for all of them. */
  async oldBelow(day: number, time: number): Promise<number | null> {
    const mark = (await this.#read())[day];
    return mark && mark.setAt <= time ? mark.greatestId + 1 : null;
  }

  /** The day is gone. */
  async forget(day: number): Promise<void> {
    const before = await this.#read();
    const others = Object.entries(before).filter(([each]) => Number(each) !== day);
    await this.#save(before, Object.fromEntries(others));
  }

  async #read(): Promise<Marks> {
    const text = await metaValue(this.#db, MARKS);
    return text === null ? {} : (JSON.parse(text) as Marks);
  }

  async #save(before: Marks, marks: Marks): Promise<void> {
    const text = JSON.stringify(marks);
    if (text !== JSON.stringify(before)) await setMeta(this.#db, MARKS, text);
  }
}
