import type { ChatMessage } from './bot.js';
import { bodyOf } from './caller.js';
import type { Narrator } from './narrator.js';
import { createPlay } from './play.js';
import type { Play } from './play.js';
import { contrastOf, problemsOf, summaryOf, totalsOf } from './report.js';
import { CHANNEL } from './stage.js';
import type { Stage } from './stage.js';

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
const WHAPI_MINUTE_SECONDS = 60;
const MESSAGES_POST = { type: 'messages', method: 'post' } as const;

/** Tells it from start to end. Returns what went wrong: nothing, where the bot answered exactly what it should. */
export async function tellStory(stage: Stage, narrator: Narrator): Promise<readonly string[]> {
  await introduce(narrator, stage.timeScale);
  const play = createPlay(stage, narrator);
  const answered = await liveMessage(play);
  const held = await lostMessage(play);
  await oldAndNewInOneWebhook(play, answered);
  await repeatedWebhook(play);
  await offlineMessage(play);
  await release(play, held);
  return await conclude(play);
}

async function introduce({ heading, say, lines }: Narrator, timeScale: number): Promise<void> {
  await heading('The problem');
  await say(
    'Whapi can bring a lost WhatsApp message back (a "resync"), but the message then arrives as a webhook like any ' +
      'other, with no mark on it, and every bot answers it, days or months late. This gateway stands between Whapi ' +
      'and the bots, knows which messages are being brought back, and lets only the new ones through.',
  );
  await heading('The stage');
  await lines([
    'Whapi (simulated) --+--> the gateway --> a bot, which answers all it gets',
    '                    +--> the same bot without the gateway, for comparison',
  ]);
  await say(
    'The gateway is the real one, on a temporary database. It gives each message that comes in a verdict, by the ' +
      'first rule of its decision table that applies. ' +
      `A minute at the simulated Whapi lasts ${WHAPI_MINUTE_SECONDS / timeScale} seconds here.`,
  );
}

async function liveMessage({ stage, narrator, message, cameIn }: Play): Promise<ChatMessage> {
  await narrator.heading('Act 1: a live message');
  const live = message('Alice', 'Are you open on Sunday?');
  stage.simulator.receive(live);
  await cameIn(1, 'Alice, live', live, 'new');
  return live;
}

async function lostMessage({ stage, narrator, witness, message, cameIn, resync }: Play): Promise<ChatMessage> {
  const { heading, say, fact, lines } = narrator;
  await heading('Act 2: a lost message is brought back');
  await say('The owner misses a message that Bob sent 30 days ago. Whapi does not have it:');
  const lost = message('Bob', 'I would like to order 20 chairs.', 30 * DAY_SECONDS);
  stage.simulator.store(lost, { cached: false });
  const { status } = await stage.whapi('GET', `/messages/${lost.id}`);
  await fact('whapi', `GET /messages/${lost.id} -> ${status}`);
  await say('So the owner has it brought back, and asks the gateway instead of Whapi:');
  const resyncId = await resync(lost);

  await say('While everybody waits for Bob, the bot stays in service:');
  const live = message('Carol', 'Where is my parcel?');
  stage.simulator.receive(live);
  await cameIn(2, 'Carol, live, during resync', live, 'new');

  await say("A minute later the phone has answered, and Whapi sends Bob's message like any other:");
  await cameIn(2, 'Bob, 30 days old, resynced', lost, 'restored');
  const { status: state, counts } = await bodyOf(
    stage.gateway<{ status: string; counts: { restored: number } }>('GET', `/v1/resyncs/${resyncId}`),
  );
  await fact('owner', `GET /v1/resyncs/${resyncId} -> ${state}, restored: ${counts.restored}`);
  await say('Why the bot was not told is on record:');
  await fact('owner', `GET /v1/messages/${CHANNEL}/${lost.id}`);
  const { timeline } = await witness.explanationOf(lost.id);
  await lines(
    timeline.map(({ at, text }) => `${at.slice('yyyy-mm-ddT'.length, -1)}  ${text}`),
    'dim',
  );
  return lost;
}

async function oldAndNewInOneWebhook(play: Play, old: ChatMessage): Promise<void> {
  const { stage, narrator, witness, message, cameIn, resync } = play;
  const { simulator } = stage;
  await narrator.heading('Act 3: old and new in one webhook');
  await narrator.say("Whapi has lost Alice's message of act 1, which the bot has answered. The owner wants it back:");
  simulator.store(old, { cached: false });
  simulator.faults.resyncSendsWebhook = false;
  await resync(old);
  await witness.backAtWhapi(old.id);
  await narrator.say('It comes back in one webhook with a live message. The gateway cuts it out for the bot:');
  const live = message('Dan', 'Do you ship to Spain?');
  simulator.store(live);
  simulator.emit(MESSAGES_POST, { messages: [old, live] });
  await cameIn(3, 'Alice again, resynced', old, 'restored');
  await cameIn(3, 'Dan, live, same webhook', live, 'new');
}

async function repeatedWebhook({ stage, narrator, message, cameIn }: Play): Promise<void> {
  await narrator.heading('Act 4: Whapi repeats a webhook');
  await narrator.say('It sends a webhook again whenever it has not seen the answer 200 in time.');
  const live = message('Eve', 'Please call me back.');
  stage.simulator.receive(live);
  await cameIn(4, 'Eve, live', live, 'new');
  stage.simulator.emit(MESSAGES_POST, { messages: [live] });
  await cameIn(4, 'Eve, same webhook again', live, 'duplicate');
}

async function offlineMessage({ stage, narrator, message, cameIn }: Play): Promise<void> {
  await narrator.heading('Act 5: old, and new all the same');
  await narrator.say(
    'The phone was offline for six hours, so this message arrives late. A filter by age would throw it away; ' +
      'but it never came in before, and nobody has asked Whapi for it:',
  );
  const delayed = message('Frank', 'Can I still cancel my order?', 6 * HOUR_SECONDS);
  stage.simulator.receive(delayed);
  await cameIn(5, 'Frank, 6 hours late', delayed, 'new');
  await narrator.say(
    'Two hours later one more turns up: Alice wrote it four hours ago, before the message of act 1. Her chat has moved ' +
      'on since, so the gateway calls it late. Late messages are genuine, and the bot gets them too:',
  );
  stage.letPass(2 * HOUR_SECONDS * 1000);
  const late = message('Alice', 'Hello, is anybody there?', 4 * HOUR_SECONDS);
  stage.simulator.receive(late);
  await cameIn(5, 'Alice, behind her newer one', late, 'late');
}

async function release({ stage, narrator, released }: Play, held: ChatMessage): Promise<void> {
  await narrator.heading('Act 6: the owner lets a held message go');
  await narrator.say('Held is not lost. Bob still wants his 20 chairs, and the owner wants the bot to answer him now:');
  const path = `/v1/messages/${CHANNEL}/${held.id}/release`;
  const { status } = await stage.gateway('POST', path, {});
  await narrator.fact('owner', `POST ${path} -> ${status}`);
  await released(6, 'Bob, released by hand', held);
}

async function conclude({ stage, narrator, witness, rows }: Play): Promise<readonly string[]> {
  const { heading, say, lines, fact } = narrator;
  await witness.quiet();
  const sent = await bodyOf(stage.whapi<{ total: number }>('GET', '/messages/list?from_me=true'));
  const problems = problemsOf(rows, { answers: stage.bot.answers.length, answersAtWhapi: sent.total });
  await heading('Summary');
  await lines([...summaryOf(rows), '']);
  await say(totalsOf(rows));
  await say(contrastOf(rows));
  await say('');
  if (problems.length === 0)
    await fact('OK', 'The bot answered exactly the new and late messages and the released one.', 'green');
  for (const problem of problems) await fact('WRONG', problem, 'red');
  return problems;
}
