import { chanceOf } from '../fuzz/chance.js';
import { ASSUMPTIONS } from './assumptions.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** The month begins on a Monday, at midnight UTC. */
export const START = Date.UTC(2026, 2, 2);

/** Random values of one topic: what one topic draws changes no other. */
export function topic(seed, number) {
  const chance = chanceOf(seed, number);
  const between = ([least, most]) => least + chance.next() * (most - least);
  return {
    ...chance,
    between,
    whole: ([least, most]) => least + chance.below(most - least + 1),
    happens: (share) => chance.next() < share,
    /** Letters and digits, as in Whapi's ids. */
    word: (length) => Array.from({ length }, () => chance.pick(LETTERS)).join(''),
  };
}

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.'];

/** When the channel, the network, the bot and the gateway are away: `{ from, until }`, sorted. */
export function periodsOf(seed, days) {
  const share = days / 30;
  const draw = (number, { times, hours, minutes }) => {
    const random = topic(seed, number);
    const count = Math.max(1, Math.round(times * share));
    const every = (days * DAY) / count;
    return Array.from({ length: count }, (_, at) => {
      const length = hours ? random.between(hours) * HOUR : random.between(minutes) * MINUTE;
      const from = START + at * every + random.next() * (every - length);
      return { from, until: from + length };
    });
  };
  const { channel_offline, short_reconnects, network_trouble, bot_restarts, bot_outages, gateway_restarts } =
    ASSUMPTIONS;
  const reconnects = { times: short_reconnects.per_day * 30, minutes: short_reconnects.minutes };
  return {
    offline: [...draw(1, channel_offline), ...draw(2, reconnects)].sort(byStart),
    trouble: draw(3, network_trouble),
    botDown: [...draw(4, bot_restarts), ...draw(5, bot_outages)].sort(byStart),
    gatewayDown: draw(6, gateway_restarts),
  };
}

/** The period that contains a time. */
export function periodAt(periods, at) {
  return periods.find(({ from, until }) => from <= at && at < until);
}

function byStart(one, other) {
  return one.from - other.from;
}
