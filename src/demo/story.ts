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

/** Tells the story. Returns the problems found; none if the bot answered exactly the right messages. */
export async function tellStory(stage: Stage, narrator: Narrator): Promise<readonly string[]> {
  await introduce(narrator, stage);
  const play = createPlay(stage, narrator);
  const answered = await liveMessage(play);
  const held = await lostMessage(play);
  await oldAndNewInOneWebhook(play, answered);
  await repeatedWebhook(play);
  await offlineMessage(play);
  await release(play, held);
  return await conclude(play);
}

async function introduce({ heading, say, lines }: Narrator, { database, timeScale }: Stage): Promise<void> {
  await heading('The problem');
  await say(
    'Whapi can bring back a lost WhatsApp message (a "resync"). The message then arrives as an ordinary webhook, with ' +
      'no mark on it, and every bot answers it, days or months late. This gateway sits between Whapi and the bots. It ' +
      'knows which messages are coming back, and forwards only the new ones.',
  );
  await heading('The stage');
  await lines([
    'Whapi (simulated) --+--> the gateway --> a bot that answers every message',
    '                    +--> the same bot without the gateway, for comparison',
  ]);
  await say(
    `The gateway is real and uses ${database}. It gives each incoming message a verdict: the first matching ` +
      'rule of its decision table. ' +
      `A minute of the simulated Whapi takes ${WHAPI_MINUTE_SECONDS / timeScale} seconds here.`,
  );
}

async function liveMessage({ stage, narrator, message, expectArrival }: Play): Promise<ChatMessage> {
  await narrator.heading('Act 1: a live message');
  const live = message('Alice', 'Are you open on Sunday?');
  stage.simulator.receive(live);
  await expectArrival(1, 'Alice, live', live, 'new');
  return live;
}

async function lostMessage({ stage, narrator, witness, message, expectArrival, resync }: Play): Promise<ChatMessage> {
  const { heading, say, fact, lines } = narrator;
  await heading('Act 2: a lost message comes back');
  await say('Bob sent a message 30 days ago. The owner misses it, and Whapi does not have it:');
  const lost = message('Bob', 'I would like to order 20 chairs.', 30 * DAY_SECONDS);
  stage.simulator.store(lost, { cached: false });
  const { status } = await stage.whapi('GET', `/messages/${lost.id}`);
  await fact('whapi', `GET /messages/${lost.id} -> ${status}`);
  await say('The owner asks the gateway, not Whapi, to bring it back:');
  const resyncId = await resync(lost);

  await say('Meanwhile the bot stays in service:');
  const live = message('Carol', 'Where is my parcel?');
  stage.simulator.receive(live);
  await expectArrival(2, 'Carol, live, during resync', live, 'new');

  await say("A minute later the phone has answered, and Whapi sends Bob's message as an ordinary webhook:");
  await expectArrival(2, 'Bob, 30 days old, resynced', lost, 'restored');
  const { status: state, counts } = await bodyOf(
    stage.gateway<{ status: string; counts: { restored: number } }>('GET', `/v1/resyncs/${resyncId}`),
  );
  await fact('owner', `GET /v1/resyncs/${resyncId} -> ${state}, restored: ${counts.restored}`);
  await say('The gateway explains why the bot did not get it:');
  await fact('owner', `GET /v1/messages/${CHANNEL}/${lost.id}`);
  const { timeline } = await witness.explanationOf(lost.id);
  await lines(
    timeline.map(({ at, text }) => `${at.slice('yyyy-mm-ddT'.length, -1)}  ${text}`),
    'dim',
  );
  return lost;
}

async function oldAndNewInOneWebhook(play: Play, old: ChatMessage): Promise<void> {
  const { stage, narrator, witness, message, expectArrival, resync } = play;
  const { simulator } = stage;
  await narrator.heading('Act 3: old and new in one webhook');
  await narrator.say(
    "Whapi has lost Alice's message of act 1, which the bot has already answered. The owner wants it back:",
  );
  simulator.store(old, { cached: false });
  simulator.faults.resyncSendsWebhook = false;
  await resync(old);
  await witness.cachedAtWhapi(old.id);
  await narrator.say(
    'It comes back in one webhook with a live message. The gateway removes it before it forwards the rest:',
  );
  const live = message('Dan', 'Do you ship to Spain?');
  simulator.store(live);
  simulator.emit(MESSAGES_POST, { messages: [old, live] });
  await expectArrival(3, 'Alice again, resynced', old, 'restored');
  await expectArrival(3, 'Dan, live, same webhook', live, 'new');
}

async function repeatedWebhook({ stage, narrator, message, expectArrival }: Play): Promise<void> {
  await narrator.heading('Act 4: Whapi repeats a webhook');
  await narrator.say('Whapi sends a webhook again if it does not get a 200 in time.');
  const live = message('Eve', 'Please call me back.');
  stage.simulator.receive(live);
  await expectArrival(4, 'Eve, live', live, 'new');
  stage.simulator.emit(MESSAGES_POST, { messages: [live] });
  await expectArrival(4, 'Eve, same webhook again', live, 'duplicate');
}

async function offlineMessage({ stage, narrator, message, expectArrival }: Play): Promise<void> {
  await narrator.heading('Act 5: old but genuine messages');
  await narrator.say(
    'The phone was offline for six hours, so this message arrives late. A filter by age would discard it. But it never ' +
      'came in before, and no resync asked for it:',
  );
  const delayed = message('Frank', 'Can I still cancel my order?', 6 * HOUR_SECONDS);
  stage.simulator.receive(delayed);
  await expectArrival(5, 'Frank, 6 hours late', delayed, 'new');
  await narrator.say(
    'Two hours later another message arrives. Alice wrote it four hours ago, before her message of act 1. Her chat ' +
      'already has a newer message, so the verdict is late. Late messages are genuine, and the bot gets them too:',
  );
  stage.advanceClock(2 * HOUR_SECONDS * 1000);
  const late = message('Alice', 'Hello, is anybody there?', 4 * HOUR_SECONDS);
  stage.simulator.receive(late);
  await expectArrival(5, 'Alice, behind her newer one', late, 'late');
}

async function release({ stage, narrator, expectRelease }: Play, held: ChatMessage): Promise<void> {
  await narrator.heading('Act 6: the owner releases a held message');
  await narrator.say(
    'Held messages are not lost. Bob still wants his 20 chairs, and the owner wants the bot to answer him now:',
  );
  const path = `/v1/messages/${CHANNEL}/${held.id}/release`;
  const { status } = await stage.gateway('POST', path, {});
  await narrator.fact('owner', `POST ${path} -> ${status}`);
  await expectRelease(6, 'Bob, released manually', held);
}

async function conclude({ stage, narrator, witness, rows }: Play): Promise<readonly string[]> {
  const { heading, say, lines, fact } = narrator;
  await witness.idle();
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
