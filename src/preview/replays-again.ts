import { Buffer } from 'node:buffer';
import type { Item } from '../intake/decode.js';
import { isOld, REPLAY_ENDS_AFTER_MS, ReplayWatch } from '../intake/replays.js';
import type { Channel } from '../model.js';

/** Finds the replays in the recorded webhooks of a channel by other settings. */
export class ReplaysAgain {
  readonly #channel: Channel;
  readonly #watch = new ReplayWatch();
  /** Until then an old message may continue a replay that began before the first webhook that is read. */
  #unsureUntil: number;
  #unsure = 0;

  /** @param since when the first webhook that is read was recorded, or later */
  constructor(channel: Channel, since: number) {
    this.#channel = channel;
    this.#unsureUntil = since + REPLAY_ENDS_AFTER_MS;
  }

  /** Old messages of which it cannot tell whether they belong to an earlier replay. They count as not held. */
  get unsure(): number {
    return this.#unsure;
  }

  /** Whether a message is held as part of a replay. Takes each never-seen message once, in the order of recording. */
  holds({ messageId, timestamp: sentAt }: Item, now: number): boolean {
    if (this.#channel.onReplay === 'deliver' || messageId === null) return false;
    const message = { key: Buffer.from(messageId), sentAt };
    const isHeld = this.#watch.includes(this.#channel, message, now);
    this.#watch.count(this.#channel, message, isHeld, now);
    if (!isHeld && now <= this.#unsureUntil && isOld(this.#channel, sentAt, now)) {
      this.#unsure += 1;
      this.#unsureUntil = now + REPLAY_ENDS_AFTER_MS;
    }
    return isHeld;
  }
}
