import { expect, it, onTestFinished, vi } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { ALL_EVENTS } from '../../src/simulator/webhooks.js';
import { startSimulator } from '../../src/simulator/simulator.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import { pagesOf } from '../support/api.js';
import type { ResyncMessageJson } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Bot } from '../support/bot.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { temporaryFolderInMemory } from '../support/files.js';
import { FAST_GATEWAY, startProcess } from '../support/process.js';
import type { GatewayProcess } from '../support/process.js';
import { lose, pausedWith, runOf } from '../support/resync.js';
import { textMessage, textWebhook } from '../support/texts.js';

const TIME_SCALE = 1000;
const MINUTE = 60_000;
/** `npm run chaos` takes 10,000, the most that one resync may have. */
const COUNT = Number(process.env['RESYNC_IDS'] ?? 2500);
const IDS = Array.from({ length: COUNT }, (_, number) => `m-${number}`);
/** The phone no longer has these. */
const GONE = IDS.filter((_, number) => number % 500 === 17);
/** The bot already has these. */
const KNOWN = IDS.filter((_, number) => number % 400 === 3);

interface Stage {
  readonly gateway: GatewayProcess;
  readonly whapi: Simulator;
  readonly bot: Bot;
}

/**
 * A real gateway process and a simulated Whapi, both a thousand times faster than real time, with a bot behind them.
 */
async function stage(): Promise<Stage> {
  const whapi = await startSimulator({ timeScale: TIME_SCALE });
  onTestFinished(async () => await whapi.close());
  Object.assign(whapi.faults, { resyncTakesMs: 0, restoredAfterMs: 10_000 });
  const env: Record<string, string> = { TIME_SCALE: String(TIME_SCALE), EPOCH_MS: String(systemEffects.now()) };
  const [gateway, bot] = await Promise.all([startProcess(env, temporaryFolderInMemory(), FAST_GATEWAY), startBot()]);
  const { client } = gateway;
  env['PORT'] = new URL(client.url).port; // Whapi finds it here after a crash too.
  await client.addChannel({ whapi_token: whapi.token, whapi_base_url: whapi.url, resync_spacing_ms: 0 });
  await client.addTarget({ url: bot.url, events: ['messages'] });
  const headers = { authorization: `Bearer ${WEBHOOK_SECRET}` };
  whapi.setWebhooks([{ url: `${client.url}/webhooks/main`, events: ALL_EVENTS, headers }]);
  for (const id of KNOWN) await client.webhook(textWebhook(id));
  const gone = new Set(GONE);
  lose(
    whapi,
    IDS.filter((id) => !gone.has(id)),
  );
  return { gateway, whapi, bot };
}

/** Resolves when the given number of messages is restored. A live one arrives at each check; returns their ids. */
async function restored({ gateway, whapi }: Stage, id: string, count: number): Promise<string[]> {
  const live: string[] = [];
  await vi.waitFor(
    async () => {
      live.push(`live-${count}-${live.length}`);
      whapi.receive(textMessage({ id: live.at(-1) ?? '' }));
      const { counts, status } = await runOf(gateway.client, id);
      if (status === 'running' && (counts['restored'] ?? 0) < count) throw new Error(JSON.stringify(counts));
    },
    { timeout: 120_000, interval: 100 },
  );
  return live;
}

async function crash({ gateway }: Stage): Promise<void> {
  await gateway.end('SIGKILL');
  await gateway.start();
}

/** Goes through failures of several days. Returns the ids of the live messages that arrived meanwhile. */
async function run(play: Stage, id: string): Promise<string[]> {
  const { gateway, whapi } = play;
  const live = await restored(play, id, 0.15 * COUNT);
  whapi.setHealth('QR');
  await pausedWith(gateway.client, id, 'not_ready');
  await crash(play);
  await pausedWith(gateway.client, id, 'not_ready');
  whapi.setHealth('AUTH');
  live.push(...(await restored(play, id, 0.3 * COUNT)));
  for (const status of [500, 429] as const) {
    whapi.failFor(status, 2 * MINUTE);
    await pausedWith(gateway.client, id, 'busy', String(status));
  }
  live.push(...(await restored(play, id, 0.6 * COUNT)));
  await crash(play);
  live.push(...(await restored(play, id, Infinity)));
  await whapi.idle();
  await gateway.client.settled();
  return live;
}

it(`${COUNT} ids, an offline phone, 5xx, 429 and two SIGKILLs: nothing leaks, and every id ends in its true state (I2, I4)`, async () => {
  const play = await stage();
  const { gateway, whapi, bot } = play;
  const wanted = { channel: 'main', message_ids: IDS, window_seconds: 3600 };
  const { id } = (await gateway.client.call<{ id: string }>('POST', '/v1/resyncs', wanted)).body;
  const live = await run(play, id);

  const messages = (await pagesOf<ResyncMessageJson>(gateway.client, `/v1/resyncs/${id}/messages`, 500)).flat();
  const idsThat = (status: string) => messages.flatMap((m) => (m.status === status ? m.message_id : []));
  expect([idsThat('not_restored'), idsThat('restored').length]).toEqual([GONE, IDS.length - GONE.length]);
  expect([...new Set(bot.requests.flatMap(({ ids }) => ids))].sort()).toEqual([...KNOWN, ...live].sort());
  expect(whapi.mostCallsAtOnce).toBe(1);
  expect(messages.filter(({ asked_at, restored_at }) => restored_at && asked_at && asked_at > restored_at)).toEqual([]);
  expect(askedMoreOftenThanSaid(whapi, messages)).toEqual([]);
}, 240_000);

/** Ids that Whapi was asked for more often than the gateway reports. Its count stops at the proof. */
function askedMoreOftenThanSaid(whapi: Simulator, messages: readonly ResyncMessageJson[]): string[] {
  const asked = new Map<string, number>();
  for (const { resync, messageId = '' } of whapi.calls) {
    if (resync) asked.set(messageId, (asked.get(messageId) ?? 0) + 1);
  }
  return messages
    .filter(({ message_id: id, calls }) => (asked.get(id) ?? 0) > calls)
    .map(({ message_id }) => message_id);
}
