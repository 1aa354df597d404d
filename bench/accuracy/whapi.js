import { chanceOf } from '../fuzz/chance.js';
import { ASSUMPTIONS } from './assumptions.js';
import { periodAt } from './periods.js';

/**
 * Sends webhooks to a receiver, each again and again until an answer has come back, as Whapi does. `receiver.take(webhook)`
 * resolves with whether it answers 200 in time; whether the answer gets back is decided here, alike for every receiver.
 */
export class Whapi {
  #month;
  #seed;
  #timeline;
  #receiver;

  constructor({ month, seed, timeline, receiver }) {
    this.#month = month;
    this.#seed = seed;
    this.#timeline = timeline;
    this.#receiver = receiver;
  }

  planMonth() {
    for (const webhook of this.#month.webhooks) this.plan(webhook);
  }

  plan(webhook) {
    this.#timeline.plan(webhook.at, async () => await this.#send(webhook, 1));
  }

  async #send(webhook, attempt) {
    const { step_seconds: step, longest_seconds: longest } = ASSUMPTIONS.whapi_retry;
    const isTaken = await this.#receiver.take(webhook);
    if (isTaken && !this.#isAnswerLost(webhook, attempt)) return;
    const pause = Math.min(attempt * step, longest) * 1000;
    this.#timeline.plan(this.#timeline.now + pause, async () => await this.#send(webhook, attempt + 1));
  }

  #isAnswerLost({ serial }, attempt) {
    const { one_in: oneIn, in_trouble: inTrouble } = ASSUMPTIONS.answer_to_whapi_lost;
    const share = periodAt(this.#month.periods.trouble, this.#timeline.now) ? inTrouble : 1 / oneIn;
    return chanceOf(this.#seed + serial, 1000 + attempt).next() < share;
  }
}
