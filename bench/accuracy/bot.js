import { chanceOf } from '../fuzz/chance.js';
import { ASSUMPTIONS } from './assumptions.js';
import { periodAt } from './periods.js';

/** How long Whapi waits for an answer (docs/whapi.md, Delivery: it advises to answer within 5 s). */
export const WHAPI_PATIENCE_MS = 5000;
const OVER_5_SECONDS_MS = 8000;
const OVER_30_SECONDS_MS = 45_000;
const AT_ONCE_MS = 300;

/**
 * The bot: one route that acts on the posts of messages, edits and votes of others, and on nothing else. It is down at times,
 * and slow at times. It counts what it acted on, by tag.
 */
export class Bot {
  /** By tag: when the bot acted on the item, each time, and on whose request. */
  acted = new Map();
  /** By chat: when the bot answered a message. */
  answers = new Map();
  #periods;
  #seed;
  #requests = 0;

  constructor({ periods }, seed) {
    this.#periods = periods;
    this.#seed = seed;
  }

  isDown(now) {
    return periodAt(this.#periods.botDown, now) !== undefined;
  }

  /**
   * Acts on what `passes`. Returns the messages that it answers, and how long it takes: whoever does not wait that long does
   * not learn that the bot has acted.
   */
  receive(method, messages, now, { passes = () => true, request = null } = {}) {
    const acted = method === 'post' ? messages.filter((message) => actsOn(message) && passes(message, now)) : [];
    for (const { device_id: tag } of acted) {
      const times = this.acted.get(tag) ?? [];
      times.push({ at: now, request });
      this.acted.set(tag, times);
    }
    const answered = acted.filter(({ type }) => type === 'text');
    for (const { chat_id: chat } of answered) this.answers.set(chat, [...(this.answers.get(chat) ?? []), now]);
    return {
      answered,
      tookMs: acted.length > 0 ? this.#takes() : AT_ONCE_MS,
    };
  }

  #takes() {
    const { bot_takes_over_5_seconds: slow, bot_takes_over_30_seconds: slower } = ASSUMPTIONS;
    const chance = chanceOf(this.#seed, 5000 + (this.#requests += 1));
    if (chance.isOneIn(slower.one_in)) return OVER_30_SECONDS_MS;
    return chance.isOneIn(slow.one_in) ? OVER_5_SECONDS_MS : AT_ONCE_MS;
  }
}

/** What others wrote, and votes, which come under the bot's own poll. */
function actsOn({ from_me: isOwn, type }) {
  return type === 'poll_update' || (!isOwn && type !== 'unknown');
}

/** The bot without a gateway: Whapi sends to it, and a filter stands at the head of its handler. */
export function botAlone(bot, filter, timeline) {
  return {
    take: async ({ method, body }) => {
      if (bot.isDown(timeline.now)) return false;
      const { messages } = JSON.parse(body.toString());
      return bot.receive(method, messages, timeline.now, filter).tookMs <= WHAPI_PATIENCE_MS;
    },
  };
}
