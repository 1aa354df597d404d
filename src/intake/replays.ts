import { MINUTE_MS, SECOND_MS } from '../durations.js';
import type { Channel } from '../model.js';
import type { Replay } from '../store/traffic.js';

/** A message that was never seen before. */
export interface ReplayedMessage {
  /** Of its id: one that Whapi sends again counts once. */
  readonly key: Buffer;
  /** Unix seconds; null: it has no time. */
  readonly sentAt: number | null;
}

export type ReplaySettings = Pick<Channel, 'name' | 'replayAfterSeconds' | 'replayMessages'>;

/** Messages that come within this time count together. */
const TOGETHER_MS = MINUTE_MS;
/** A replay is over when none of its messages has come for this long. */
export const REPLAY_ENDS_AFTER_MS = 10 * MINUTE_MS;

interface Arrival {
  readonly at: number;
  /** Unix seconds. */
  readonly sentAt: number;
}

/** An old message that came within the last minute and belongs to no replay yet. */
export interface RecentArrival extends Arrival {
  readonly channel: string;
  readonly key: Buffer;
}

/**
 * Notices replays. Per channel it remembers the last replay and, until there is one, the old messages of the last minute:
 * never more than `replay_messages`. A restart forgets the latter.
 */
export class ReplayWatch {
  readonly #replays: Map<string, Replay>;
  readonly #arrivals = new Map<string, Map<string, Arrival>>();

  /** @param arrivals oldest first */
  constructor(
    replays: Iterable<readonly [channel: string, replay: Replay]> = [],
    arrivals: Iterable<RecentArrival> = [],
  ) {
    this.#replays = new Map(replays);
    for (const { channel, key, at, sentAt } of arrivals) {
      const ofChannel = this.#arrivals.get(channel) ?? new Map<string, Arrival>();
      this.#arrivals.set(channel, ofChannel.set(nameOf(key), { at, sentAt }));
    }
  }

  /** Old messages of a channel that came within the last minute, oldest first. */
  arrivals(channel: string): readonly RecentArrival[] {
    const ofChannel = this.#arrivals.get(channel) ?? [];
    return [...ofChannel].map(([name, arrival]) => ({ channel, key: Buffer.from(name, 'latin1'), ...arrival }));
  }

  /** The last replay of a channel; null: there was none. */
  last(channel: string): Replay | null {
    return this.#replays.get(channel) ?? null;
  }

  /** The replay that goes on; null: none does. */
  current(channel: string, now: number): Replay | null {
    const last = this.#replays.get(channel);
    return last && now - last.lastAt <= REPLAY_ENDS_AFTER_MS ? last : null;
  }

  /** Whether this message belongs to a replay, or makes one of the last minute's. */
  includes(settings: ReplaySettings, { key, sentAt }: ReplayedMessage, now: number): boolean {
    if (!isOld(settings, sentAt, now)) return false;
    if (this.current(settings.name, now)) return true;
    const arrivals = this.#recent(settings.name, now);
    return arrivals.size + (arrivals.has(nameOf(key)) ? 0 : 1) >= settings.replayMessages;
  }

  /** Counts a message after its verdict. Returns whether it belongs to a replay. */
  count(settings: ReplaySettings, { key, sentAt }: ReplayedMessage, isHeld: boolean, now: number): boolean {
    if (sentAt === null || !isOld(settings, sentAt, now)) return false;
    const { name, replayMessages } = settings;
    const held = isHeld ? 1 : 0;
    const current = this.current(name, now);
    if (current) {
      const oldestSentAt = Math.min(current.oldestSentAt, sentAt);
      const { beganAt, messages, held: before } = current;
      this.#replays.set(name, { beganAt, lastAt: now, messages: messages + 1, held: before + held, oldestSentAt });
      return true;
    }
    const arrivals = this.#recent(name, now).set(nameOf(key), { at: now, sentAt });
    if (arrivals.size < replayMessages) return false;
    const all = [...arrivals.values()];
    this.#replays.set(name, {
      ...{ beganAt: all[0]?.at ?? now, lastAt: now, messages: all.length, held },
      oldestSentAt: Math.min(...all.map((each) => each.sentAt)),
    });
    this.#arrivals.delete(name);
    return true;
  }

  /** The channel was removed. */
  forget(channel: string): void {
    this.#replays.delete(channel);
    this.#arrivals.delete(channel);
  }

  /** The same, for a trial that must change nothing here. */
  copy(): ReplayWatch {
    const copy = new ReplayWatch(this.#replays);
    for (const [channel, arrivals] of this.#arrivals) copy.#arrivals.set(channel, new Map(arrivals));
    return copy;
  }

  /** The old messages of the last minute, the oldest first. */
  #recent(channel: string, now: number): Map<string, Arrival> {
    const arrivals = this.#arrivals.get(channel) ?? new Map<string, Arrival>();
    this.#arrivals.set(channel, arrivals);
    for (const [name, { at }] of arrivals) {
      if (Math.abs(now - at) <= TOGETHER_MS) break;
      arrivals.delete(name);
    }
    return arrivals;
  }
}

/** Whether a message is old enough for a replay. Whatever says that it was sent at the start of 1970 or before has no time. */
export function isOld(
  { replayAfterSeconds }: Pick<ReplaySettings, 'replayAfterSeconds'>,
  sentAt: number | null,
  now: number,
): boolean {
  return sentAt !== null && sentAt > 0 && now / SECOND_MS - sentAt > replayAfterSeconds;
}

function nameOf(key: Buffer): string {
  return key.toString('latin1');
}
