import { DAY } from './periods.js';

/**
 * What the bot acted on, against the truth:
 * - `leaks`: a restored message reached the bot.
 * - `repeats`: something genuine reached it once more. `repeatsWithNewId`: under another `webhook-id`, so that a bot that
 *   remembers those could not tell.
 * - `lost`: a genuine message or edit never reached it; `lostVotes`: a vote.
 * - `lostButAnswered`: of the lost messages and edits, those whose chat a person answered within a day.
 * - `lostUnanswered`: of them, those after which the number sent nothing to their chat any more, neither a person nor the bot.
 * - `afterAnswer`: a genuine message reached it after a person had answered.
 */
export function tally(month, bot) {
  const counts = {
    leaks: 0,
    repeats: 0,
    repeatsWithNewId: 0,
    lost: 0,
    lostVotes: 0,
    lostButAnswered: 0,
    lostUnanswered: 0,
    afterAnswer: 0,
  };
  const sentByNumber = timesOfOwn(month, bot);
  for (const { items } of month.webhooks) {
    for (const item of items) {
      const times = bot.acted.get(item.tag) ?? [];
      if (item.label === 'restored') counts.leaks += times.length;
      if (item.label === 'genuine')
        countGenuine(counts, item, times, {
          byPerson: month.answers.get(item.chat) ?? [],
          byNumber: sentByNumber.get(item.chat) ?? [],
        });
    }
  }
  return counts;
}

function countGenuine(counts, item, times, { byPerson, byNumber }) {
  const { kind, sentAt } = item;
  const [first] = times;
  if (!first) {
    countLost(counts, item, { byPerson, byNumber });
    return;
  }
  counts.repeats += times.length - 1;
  const requests = new Set(times.map(({ request }) => request));
  counts.repeatsWithNewId += requests.has(null) ? times.length - 1 : requests.size - 1;
  if (kind === 'message' && isAnswered(byPerson, sentAt, first.at)) counts.afterAnswer += 1;
}

function countLost(counts, { kind, sentAt }, { byPerson, byNumber }) {
  if (kind === 'vote') {
    counts.lostVotes += 1;
    return;
  }
  counts.lost += 1;
  if (isAnswered(byPerson, sentAt, sentAt + DAY)) counts.lostButAnswered += 1;
  if (!isAnswered(byNumber, sentAt, Infinity)) counts.lostUnanswered += 1;
}

/** By chat: when the number itself sent a message, be it a person, a poll or the bot. */
function timesOfOwn({ webhooks }, { answers }) {
  const times = new Map([...answers].map(([chat, some]) => [chat, [...some]]));
  for (const { chat, kind, sentAt } of webhooks.flatMap(({ items }) => items))
    if (kind === 'own' || kind === 'poll') times.set(chat, [...(times.get(chat) ?? []), sentAt]);
  return times;
}

function isAnswered(answers, after, until) {
  return answers.some((at) => at > after && at <= until);
}
