import { HOUR, MINUTE } from './periods.js';

/**
 * The filters that bots use instead, each as a person would write it at the head of the bot's handler: `passes(message, now)`
 * says whether the bot acts on a message. Each gets the benefit of the doubt: it ignores what the bot does not act on anyway
 * (own messages, placeholders, puts) before it remembers anything, and its memory survives a restart of the bot.
 */
export const FILTERS = [
  { name: 'no filter', make: () => ({ passes: () => true }) },
  { name: 'maximum age of 15 minutes', make: () => maximumAge(15 * MINUTE) },
  { name: 'maximum age of 48 hours', make: () => maximumAge(48 * HOUR) },
  { name: 'nothing from before the start of the bot', make: startTime },
  { name: 'ids of the last 5 minutes', make: () => memoryOfTime(5 * MINUTE) },
  { name: 'ids of the last hour', make: () => memoryOfTime(HOUR) },
  { name: 'the last 10,000 ids', make: () => memoryOfCount(10_000) },
  { name: 'all ids, for ever', make: () => memoryOfCount(Infinity) },
];

/** Also what Whapi's own `webhook_max_age_seconds` does. */
function maximumAge(ms) {
  return { passes: ({ timestamp }, now) => now - timestamp * 1000 <= ms };
}

function startTime({ start, periods }) {
  const startedAt = (now) => periods.botDown.findLast(({ until }) => until <= now)?.until ?? start;
  return { passes: ({ timestamp }, now) => timestamp * 1000 >= startedAt(now) };
}

/** From the first sight of an id, as a cache with a time to live does it. */
function memoryOfTime(ms) {
  const seenAt = new Map();
  return {
    passes: ({ id }, now) => {
      const at = seenAt.get(id);
      if (at !== undefined && now - at <= ms) return false;
      seenAt.set(id, now);
      return true;
    },
  };
}

/** The oldest id goes first. */
function memoryOfCount(most) {
  const seen = new Set();
  return {
    passes: ({ id }) => {
      if (seen.has(id)) return false;
      seen.add(id);
      if (seen.size > most) seen.delete(seen.values().next().value);
      return true;
    },
  };
}
