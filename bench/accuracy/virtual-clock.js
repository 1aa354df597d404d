import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * The `effects` of the gateway's parts in virtual time. A sleep ends when `wakeDue` finds that its time has come, or when it is
 * aborted, as a loop does that gets a hint.
 */
export class VirtualClock {
  #timeline;
  #idleMs;
  #sleepers = new Set();
  effects;

  /** @param idleMs () → how long a pause of `LOOP_IDLE_MS` lasts instead: polls of an idle loop would take up all the time */
  constructor(timeline, chance, idleMs) {
    this.#timeline = timeline;
    this.#idleMs = idleMs;
    this.effects = {
      now: () => timeline.now,
      monotonic: () => timeline.now,
      sleep: async (ms, signal) => await this.#sleep(ms, signal),
      random: () => chance.next(),
      randomBytes: (size) => Buffer.from(Array.from({ length: size }, () => chance.below(256))),
    };
  }

  /** How many sleep, and when the first of them is due. */
  get sleeping() {
    return this.#sleepers.size;
  }

  get nextDueAt() {
    return Math.min(Infinity, ...[...this.#sleepers].map(({ at }) => at));
  }

  wakeDue() {
    for (const { at, wake } of this.#sleepers) if (at <= this.#timeline.now) wake();
  }

  async #sleep(ms, signal) {
    if (signal?.aborted) return;
    if (ms <= 0) {
      await nextTurn();
      return;
    }
    const pause = ms === LOOP_IDLE_MS ? this.#idleMs() : ms;
    await new Promise((resolve) => {
      const sleeper = { at: this.#timeline.now + pause, wake };
      const sleepers = this.#sleepers;
      function wake() {
        sleepers.delete(sleeper);
        signal?.removeEventListener('abort', wake);
        resolve();
      }
      sleepers.add(sleeper);
      signal?.addEventListener('abort', wake);
    });
  }
}

/** The longest pause of the delivery loop. */
const LOOP_IDLE_MS = 1000;
