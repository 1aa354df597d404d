import { ReplayWatch } from '../dist/intake/replays.js';

/**
 * From which age on, and from how many messages a minute on, are old messages a replay? Runs the gateway's own watch over
 * simulated arrivals: the late messages of an outage, which must not count, and histories that Whapi sends by itself, which
 * should. Each outage and history is simulated for quiet and busy numbers, for slow and fast arrivals, oldest and newest first.
 */
const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];
const SEEDS = 50;
const MESSAGES_PER_DAY = [30, 300, 3000];
const ARRIVALS_PER_MINUTE = [30, 120, 3000];
const MOST_MESSAGES = 21_000;
/** Of the messages of an outage, as many are older than it by up to a week: their senders were offline too. */
const STRAGGLERS = 0.002;
const OUTAGES = {
  ...{ '10 min': 10 * MINUTE, '1 h': HOUR, '12 h': 12 * HOUR, '1 day': DAY, '63 h (weekend)': 63 * HOUR },
  ...{ '4 days': 4 * DAY, '7 days': 7 * DAY },
};
const HISTORIES = { '7 days': 7 * DAY, '30 days': 30 * DAY, '365 days': 365 * DAY };
const SETTINGS = [1, 3, 5, 7].flatMap((days) =>
  [5, 20, 50].map((replayMessages) => ({ name: 'main', replayAfterSeconds: days * 86_400, replayMessages })),
);

/** mulberry32: numbers from 0 to 1, the same for the same seed. */
function numbersOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** When messages were sent, oldest first: a tenth as many at night (22 to 7 h) as by day. */
function sentBetween(from, to, perDay, number) {
  const count = Math.min(MOST_MESSAGES, Math.round(((to - from) / DAY) * perDay));
  const times = [];
  for (let tries = 0; times.length < count && tries < 20 * count; tries += 1) {
    const at = from + number() * (to - from);
    const hour = (at / HOUR) % 24;
    if ((hour >= 7 && hour < 22) || number() < 0.1) times.push(at);
  }
  return times.sort((a, b) => a - b);
}

/** Messages with the times at which they were sent and arrive. */
function arrivalsOf({ lengthMs, perDay, perMinute, isNewestFirst, stragglers }, number) {
  let now = 1_750_000_000_000 + number() * 7 * DAY;
  const sent = sentBetween(now - lengthMs, now, perDay, number);
  return (isNewestFirst ? sent.reverse() : sent).map((at, index) => {
    now -= (Math.log(1 - number()) * MINUTE) / perMinute;
    const sentAt = number() < stragglers ? at - number() * 7 * DAY : at;
    return { key: Buffer.from(String(index)), sentAt: Math.floor(sentAt / 1000), now };
  });
}

function isNoticed(arrivals, settings) {
  const watch = new ReplayWatch();
  return arrivals.some(({ key, sentAt, now }) => watch.count(settings, { key, sentAt }, false, now));
}

/** The share of the simulations in which the watch reports a replay, for each of the settings. */
function sharesOf(lengthMs, stragglers) {
  const noticed = SETTINGS.map(() => 0);
  let runs = 0;
  for (const perDay of MESSAGES_PER_DAY)
    for (const perMinute of ARRIVALS_PER_MINUTE)
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const isNewestFirst = seed % 2 === 0;
        const arrivals = arrivalsOf({ lengthMs, perDay, perMinute, isNewestFirst, stragglers }, numbersOf(seed));
        runs += 1;
        for (const [at, settings] of SETTINGS.entries()) if (isNoticed(arrivals, settings)) noticed[at] += 1;
      }
  return noticed.map((count) => Number((count / runs).toFixed(3)));
}

const sharesOfAll = (lengths, stragglers) =>
  Object.entries(lengths).map(([name, lengthMs]) => [name, sharesOf(lengthMs, stragglers)]);
const [outages, histories] = [sharesOfAll(OUTAGES, STRAGGLERS), sharesOfAll(HISTORIES, 0)];
const at = (shares, index) => Object.fromEntries(shares.map(([name, all]) => [name, all[index]]));

console.log(
  JSON.stringify({
    ...{ bench: 'replay', seeds: SEEDS, messages_per_day: MESSAGES_PER_DAY, arrivals_per_minute: ARRIVALS_PER_MINUTE },
    stragglers: STRAGGLERS,
    noticed: SETTINGS.map(({ replayAfterSeconds, replayMessages }, index) => ({
      ...{ replay_after_seconds: replayAfterSeconds, replay_messages: replayMessages },
      ...{ outages: at(outages, index), histories: at(histories, index) },
    })),
  }),
);
