import { expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../src/whapi/simulator.js';
import { startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { startProcess } from './support/process.js';
import type { GatewayProcess } from './support/process.js';
import { createStorm } from './support/storm.js';
import type { Storm } from './support/storm.js';

const CRASHES = 30;
/** A crash comes after up to so many requests to the bot: a random moment of recording, claiming, sending, settling. */
const MOST_BEFORE_CRASH = 80;

it(`${CRASHES} SIGKILLs under load: nothing answered is lost, nothing restored leaks, repeats keep their webhook-id (I1–I6)`, async () => {
  const { gateway, bot } = await stage();
  const storm = createStorm();
  for (let crash = 0; crash < CRASHES; crash += 1) await crashOnce(gateway, bot, storm);
  await gateway.client.settled();

  const first = firstSightings(bot);
  expect(storm.restored.length).toBeGreaterThan(CRASHES);
  expect(storm.restored.filter((id) => first.has(id))).toEqual([]);
  for (const [, ids] of storm.answered) expect([...first.keys()].filter((id) => ids.includes(id))).toEqual(ids);
  expect(idsWithSeveralWebhookIds(bot)).toEqual([]);
}, 240_000);

async function stage(): Promise<{ gateway: GatewayProcess; bot: Bot }> {
  const whapi = await startSimulator({ timeScale: 1000 });
  onTestFinished(async () => await whapi.close());
  const [gateway, bot] = await Promise.all([startProcess(), startBot()]);
  await gateway.client.addChannel({ whapi_token: whapi.token, whapi_base_url: whapi.url });
  await gateway.client.addTarget({ url: bot.url });
  return { gateway, bot };
}

/** Rages until the bot has got some more requests, kills the process in the midst of it and starts it again. */
async function crashOnce(gateway: GatewayProcess, bot: Bot, storm: Storm): Promise<void> {
  const until = bot.requests.length + 1 + Math.floor(Math.random() * MOST_BEFORE_CRASH);
  let isDead = false;
  const raging = storm.rage(
    () => gateway.client,
    () => isDead,
  );
  await bot.received(until);
  const ended = await gateway.end('SIGKILL');
  isDead = true;
  await raging;
  expect(ended.signal).toBe('SIGKILL');
  await gateway.start();
}

/** Message ids in the order in which the bot saw them for the first time. */
function firstSightings(bot: Bot): Map<string, number> {
  const first = new Map<string, number>();
  bot.requests.forEach(({ ids }, index) => {
    for (const id of ids) if (!first.has(id)) first.set(id, index);
  });
  return first;
}

function idsWithSeveralWebhookIds(bot: Bot): string[] {
  const webhookIds = new Map<string, Set<unknown>>();
  for (const { ids, headers } of bot.requests) {
    for (const id of ids) webhookIds.set(id, (webhookIds.get(id) ?? new Set()).add(headers['webhook-id']));
  }
  return [...webhookIds].filter(([, seen]) => seen.size > 1).map(([id]) => id);
}
