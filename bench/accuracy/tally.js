import { DAY } from './periods.js';

/**
 * What the bot acted on, against the truth:
 * - `leaks`: a restored message reached the bot.
 * - `repeats`: something genuine reached it once more. `repeatsWithNewId`: under another `webhook-id`, so that a bot that
 *   remembers those could not tell.
 * - `lost`: a genuine message or edit never reached it; `lostVotes`: a vote.
 * - `lostButAnswered`: of the lost messages, those whose chat a person answered within a day.
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
    afterAnswer: 0,
  };
  for (const { items } of month.webhooks) {
    for (const item of items) {
      const times = bot.acted.get(item.tag) ?? [];
      if (item.label === 'restored') counts.leaks += times.length;
      if (item.label === 'genuine') countGenuine(counts, item, times, month.answers.get(item.chat) ?? []);
    }
  }
  return counts;
}

function countGenuine(counts, { kind, sentAt }, times, answers) {
  const [first] = times;
  if (!first) {
    if (kind === 'vote') counts.lostVotes += 1;
    else counts.lost += 1;
    if (kind === 'message' && isAnswered(answers, sentAt, sentAt + DAY)) counts.lostButAnswered += 1;
    return;
  }
  counts.repeats += times.length - 1;
  const requests = new Set(times.map(({ request }) => request));
  counts.repeatsWithNewId += requests.has(null) ? times.length - 1 : requests.size - 1;
  if (kind === 'message' && isAnswered(answers, sentAt, first.at)) counts.afterAnswer += 1;
}

function isAnswered(answers, after, until) {
  return answers.some((at) => at > after && at <= until);
}
