import { ASSUMPTIONS } from './assumptions.js';
import { DAY, HOUR, periodAt, START, topic } from './periods.js';

const YEAR = 365 * DAY;
/** On the first days, few messages are old enough. */
const MOST_TRIES = 100;

/**
 * The resyncs of a month and the webhooks that they cause. `month`: the messages so far, `delivered` and `neverSent`, and
 * `tagged` for new copies. An id is brought back once.
 */
export function resyncsOf(seed, month, periods) {
  const random = topic(seed, 20);
  const taken = new Set();
  const calls = [];
  const webhooks = [];
  let freeAt = 0;
  for (const wantedAt of requestTimes(random, month.days)) {
    const message = pick(random, month, wantedAt, taken);
    taken.add(message.id);
    // One call at a time, and only while the channel is there.
    const outage = periodAt(periods.offline, Math.max(wantedAt, freeAt));
    const askedAt = outage?.until ?? Math.max(wantedAt, freeAt);
    freeAt = askedAt + ASSUMPTIONS.call_seconds * 1000;
    calls.push({ id: message.id, askedAt });
    for (const at of comingBack(random, askedAt)) {
      const back = periodAt(periods.offline, at)?.until ?? at;
      webhooks.push({ at: back, items: [month.tagged(restored(random, message))] });
    }
  }
  return { calls, webhooks };
}

/** Single ids during the day, and batches, as after an audit. Sorted. */
function requestTimes(random, days) {
  const { single_per_day: singles, batches } = ASSUMPTIONS.resyncs;
  const [opens, closes] = ASSUMPTIONS.active_hours_utc;
  const at = (day) => START + day * DAY + random.between([opens, closes]) * HOUR;
  const times = [];
  for (let day = 1; day < days; day += 1) for (let one = 0; one < singles; one += 1) times.push(at(day));
  const share = days / 30;
  const count = Math.max(1, Math.round(batches.times * share));
  for (let batch = 1; batch <= count; batch += 1) {
    const begins = at(Math.floor((batch * (days - 1)) / count));
    for (let one = 0; one < Math.min(batches.ids, Math.ceil(batches.ids * share * 4)); one += 1) times.push(begins);
  }
  return times.sort((one, other) => one - other);
}

/** A message at least a day old: seen this month, never sent this month, or up to a year older than the month. */
function pick(random, { delivered, neverSent, newId }, now, taken) {
  const { delivered_this_month: seen, never_sent_this_month: unseen } = ASSUMPTIONS.resynced;
  const before = now - ASSUMPTIONS.resynced_at_least_days_old * DAY;
  const place = random.next();
  if (place < seen + unseen) {
    const among = place < seen ? delivered : neverSent;
    for (let tries = 0; tries < MOST_TRIES && among.length > 0; tries += 1) {
      const message = random.pick(among);
      if ((message.at ?? message.sentAt) < before && !taken.has(message.id)) return message;
    }
  }
  const chat = `1202556${1000 + random.below(ASSUMPTIONS.customers)}@s.whatsapp.net`;
  return { id: newId(), chat, sentAt: START - random.next() * YEAR };
}

function comingBack(random, askedAt) {
  const { restored_after: after, restored_twice: twice, restored_after_the_window: beyond } = ASSUMPTIONS;
  const isLate = random.isOneIn(after.hours_later.one_in);
  const first =
    askedAt + (isLate ? random.between(after.hours_later.hours) * HOUR : random.between(after.seconds) * 1000);
  return [
    first,
    ...(random.isOneIn(twice.one_in) ? [first + random.between(twice.hours) * HOUR] : []),
    ...(random.isOneIn(beyond.one_in) ? [askedAt + random.between(beyond.days) * DAY] : []),
  ];
}

function restored(random, { id, chat, sentAt }) {
  const isLid = random.isOneIn(ASSUMPTIONS.restored_under_lid.one_in);
  return { kind: 'message', label: 'restored', id, chat: isLid ? chat.replace(/@.*/, '@lid') : chat, sentAt };
}
