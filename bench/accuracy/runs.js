import { messageBody, webhookBody } from './bodies.js';
import { Bot, botAlone } from './bot.js';
import { Gateway } from './gateway.js';
import { HOUR, periodAt } from './periods.js';
import { tally } from './tally.js';
import { Timeline } from './timeline.js';
import { Whapi } from './whapi.js';

/** What is still under way at the end of the month may take this long. */
const AFTERWARDS_MS = 48 * HOUR;
/** From a message to the webhook about the bot's answer to it. */
const ANSWER_MS = 2000;

/** The month through a filter in the bot, to which Whapi sends directly. */
export async function runFilter(month, seed, { make }) {
  const timeline = new Timeline(month.start);
  const bot = new Bot(month, seed);
  const receiver = botAlone(bot, make(month), timeline);
  new Whapi({ month, seed, timeline, receiver }).planMonth();
  await timeline.run(month.end + AFTERWARDS_MS);
  return tally(month, bot);
}

/** The month through the gateway, with these settings of its target. The bot's answers come by as webhooks as well. */
export async function runGateway(month, seed, settings) {
  const timeline = new Timeline(month.start);
  const bot = new Bot(month, seed);
  let answers = 0;
  const onAnswer = ({ chat_id: chat }) => {
    answers += 1;
    const serial = month.webhooks.length + answers;
    const at = periodAt(month.periods.offline, timeline.now)?.until ?? timeline.now + ANSWER_MS;
    const item = { tag: -answers, id: `answer-${answers}`, chat, sentAt: timeline.now, kind: 'own', isOwn: true };
    whapi.plan({ serial, at, method: 'post', body: webhookBody('post', [messageBody(item)]) });
  };
  const gateway = new Gateway({ bot, timeline, periods: month.periods, seed, onAnswer });
  const whapi = new Whapi({ month, seed, timeline, receiver: gateway });
  try {
    await gateway.start(month, settings);
    whapi.planMonth();
    await timeline.run(month.end + AFTERWARDS_MS);
    return tally(month, bot);
  } finally {
    await gateway.stop();
  }
}
