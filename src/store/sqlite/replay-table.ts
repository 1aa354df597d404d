import { RULE } from '../../intake/judge.js';
import type { Channel } from '../../model.js';
import type { ReplayWatch } from '../../intake/replays.js';
import type { Db } from './database.js';
import type { ItemMemory } from './ledger.js';
import type { RecordedReplay } from '../intake.js';
import type { ReplayEvidence } from '../items.js';
import type { Replay } from '../traffic.js';

interface ReplayRow {
  channel: string;
  began_at: number;
  last_at: number;
  messages: number;
  held: number;
  oldest_sent_at: number;
}

/**
 * The replays of the webhook that is being recorded. The watch in memory decides; a row is written only for a webhook with
 * messages of a replay. Counts of a webhook that is rolled back stay in the watch, which knows its messages when they come again.
 */
export class ReplayTable {
  readonly #watch: ReplayWatch;
  readonly #save;
  #before: Replay | null = null;
  #counted = 0;

  constructor(db: Db, watch: ReplayWatch) {
    this.#watch = watch;
    this.#save = db.prepare<[ReplayRow]>(
      `INSERT OR REPLACE INTO replays (channel, began_at, last_at, messages, held, oldest_sent_at)
       VALUES (@channel, @began_at, @last_at, @messages, @held, @oldest_sent_at)`,
    );
  }

  /** A webhook is judged. */
  begin(channel: string, now: number): void {
    this.#before = this.#watch.current(channel, now);
    this.#counted = 0;
  }

  /** Whether a never-seen message belongs to a replay, or makes one. */
  includes(channel: Channel, { key, item }: ItemMemory, now: number): boolean {
    return key !== null && this.#watch.includes(channel, { key, sentAt: item.timestamp }, now);
  }

  /** A never-seen message got its verdict. */
  count(channel: Channel, { key, item }: ItemMemory, rule: number, now: number): void {
    if (key === null) return;
    const sentAt = item.timestamp;
    if (this.#watch.count(channel, { key, sentAt }, rule === RULE.replayed, now)) this.#counted += 1;
  }

  /** What a message that was just counted as held rests on. */
  evidenceOf({ name, replayAfterSeconds }: Channel): Omit<ReplayEvidence, 'sentAt'> | null {
    const replay = this.#watch.last(name);
    return replay && { beganAt: replay.beganAt, replayAfterSeconds };
  }

  /** Saves the replay if the webhook has messages of it. */
  save(channel: string): RecordedReplay | null {
    const replay = this.#counted > 0 ? this.#watch.last(channel) : null;
    if (!replay) return null;
    const { beganAt, lastAt, messages, held, oldestSentAt } = replay;
    this.#save.run({
      ...{ channel, began_at: beganAt, last_at: lastAt, messages, held },
      oldest_sent_at: Math.floor(oldestSentAt),
    });
    return { replay, isNew: this.#before === null, messages: messages - (this.#before?.messages ?? 0) };
  }
}

/** The last replay of each channel, as it was saved. */
export function savedReplays(db: Db): [channel: string, replay: Replay][] {
  const rows = db.prepare<[], ReplayRow>('SELECT * FROM replays').all();
  return rows.map(({ channel, began_at: beganAt, last_at: lastAt, messages, held, oldest_sent_at: oldestSentAt }) => [
    channel,
    { beganAt, lastAt, messages, held, oldestSentAt },
  ]);
}
