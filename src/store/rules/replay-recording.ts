import { RULE } from '../../intake/judge.js';
import type { Channel } from '../../model.js';
import type { ItemMemory } from './item-memory.js';
import type { RecordingRows } from './recording.js';
import type { ReplayWatch } from '../../intake/replays.js';
import type { RecordedReplay } from '../intake.js';
import type { ReplayEvidence } from '../items.js';
import type { Replay } from '../traffic.js';

/**
 * The replays of the webhook that is being recorded. The watch in memory decides; a row is written only for a webhook with
 * messages of a replay. Counts of a webhook that is rolled back stay in the watch, which knows its messages when they come again.
 */
export class ReplayRecording {
  readonly #watch: ReplayWatch;
  readonly #rows: Pick<RecordingRows, 'replay'>;
  #before: Replay | null = null;
  #counted = 0;

  constructor(watch: ReplayWatch, rows: Pick<RecordingRows, 'replay'>) {
    this.#watch = watch;
    this.#rows = rows;
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
    this.#rows.replay(channel, replay);
    return { replay, isNew: this.#before === null, messages: replay.messages - (this.#before?.messages ?? 0) };
  }
}
