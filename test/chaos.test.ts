import { expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../src/simulator/simulator.js';
import { startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { createWatch, NO_HARM, reportOf } from './support/chaos-watch.js';
import type { Watch } from './support/chaos-watch.js';
import { smallDisk } from './support/disk.js';
import type { Disk } from './support/disk.js';
import { until } from './support/intervals.js';
import { startProcess, TUNED_GATEWAY } from './support/process.js';
import type { GatewayProcess } from './support/process.js';
import { whileMoving } from './support/stalls.js';
import type { TargetBody } from './support/stalls.js';
import { createStorm } from './support/storm.js';
import type { Storm } from './support/storm.js';

/** `npm run chaos` makes 200. */
const CRASHES = Number(process.env['CHAOS_CRASHES'] ?? 8);
/**
 * A crash comes after up to this many requests to the bot, at a random moment of recording, claiming, sending or
 * settling.
 */
const MOST_BEFORE_CRASH = 80;
/** Room for what the load writes between two sweeps. */
const DISK_MIB = Math.max(512, 3 * CRASHES);
const TIMEOUT_MS = 250;
/** Answered events that wait for the bot at most, so that a pause of its circuit breaker builds no long backlog. */
const MOST_WAITING = 500;
/** The circuit breaker pauses as often as it does elsewhere, and not as long. */
const INTERVALS = { breaker: { pausesMs: [1000, 2000, 4000] } };

interface Stage {
  readonly disk: Disk;
  readonly gateway: GatewayProcess;
  readonly bot: Bot;
  readonly targetId: string;
  readonly watch: Watch;
}

it(
  `${CRASHES} SIGKILLs under load, with a bot that fails, hangs, resets and goes down once, and a disk that fills up once: nothing answered is lost, nothing restored leaks, every chat's messages and statuses stay in order, repetitions keep their webhook-id (I1–I6)`,
  async () => {
    const staged = await stage();
    const { bot, watch } = staged;
    const storm = createStorm((answered) => answered - watch.delivered.size > MOST_WAITING);
    for (let crash = 0; crash < CRASHES; crash += 1) {
      if (crash === Math.floor(CRASHES / 4)) await takeBotDown(staged, storm);
      if (crash === Math.floor(CRASHES / 2)) await fillDisk(staged, storm);
      await crashOnce(staged, storm);
    }
    bot.otherwise = watch.calm;
    await drained(staged);

    const result = {
      chaos: 'crashes under load',
      crashes: CRASHES,
      refused_while_the_disk_was_full: storm.refused,
      ...reportOf(storm, watch, bot),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    expect(result).toMatchObject(NO_HARM);
    expect(storm.refused).toBeGreaterThan(0);
    expect(storm.restored.length).toBeGreaterThan(CRASHES);
  },
  300_000 + CRASHES * 10_000,
);

async function stage(): Promise<Stage> {
  const whapi = await startSimulator({ timeScale: 1000 });
  onTestFinished(async () => await whapi.close());
  const disk = smallDisk(DISK_MIB);
  const env = { INTERVALS: JSON.stringify(INTERVALS) };
  const [gateway, bot] = await Promise.all([startProcess(env, disk.folder, TUNED_GATEWAY), startBot()]);
  const watch = createWatch();
  bot.otherwise = watch.trouble;
  await gateway.client.addChannel({ whapi_token: whapi.token, whapi_base_url: whapi.url });
  const { id: targetId } = await gateway.client.addTarget({
    url: bot.url,
    timeout_ms: TIMEOUT_MS,
    max_attempts: 100,
    retry_delays_seconds: [1],
  });
  return { disk, gateway, bot, targetId, watch };
}

async function moving({ bot, gateway, targetId }: Stage, isDone: () => boolean | Promise<boolean>): Promise<void> {
  await whileMoving(bot, () => gateway.client, targetId, isDone);
}

async function drained(staged: Stage): Promise<void> {
  await moving(staged, async () => {
    const { body } = await staged.gateway.client.call<{ data: unknown[] }>(
      'GET',
      '/v1/deliveries?status=pending&limit=1',
    );
    return body.data.length === 0;
  });
}

/** Sends load until the bot has got some more requests, then kills the process and starts it again. */
async function crashOnce(staged: Stage, storm: Storm): Promise<void> {
  const { gateway, bot } = staged;
  const enough = bot.requests.length + 1 + Math.floor(Math.random() * MOST_BEFORE_CRASH);
  await underLoad(gateway, storm, async () => {
    await moving(staged, () => bot.requests.length >= enough);
    expect(await gateway.end('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
  });
  await gateway.start();
}

/** Lets the bot fail until a probe has failed, kills the process with the breaker open, and lets the bot recover. */
async function takeBotDown(staged: Stage, storm: Storm): Promise<void> {
  const { gateway, bot, watch } = staged;
  const probesAt = new Set<string>();
  await underLoad(gateway, storm, async () => {
    bot.otherwise = watch.down;
    await moving(staged, async () => {
      const { state, next_probe_at } = await breakerOf(staged);
      if (state === 'open' && next_probe_at !== null) probesAt.add(next_probe_at);
      return probesAt.size > 1;
    });
    expect(await gateway.end('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
  });
  await gateway.start();
  expect((await breakerOf(staged)).state).not.toBe('closed'); // Its next probe may be under way already.
  bot.otherwise = watch.calm;
  await underLoad(gateway, storm, async () => {
    await moving(staged, async () => {
      const { state, concurrency } = await breakerOf(staged);
      return state === 'closed' && concurrency === null;
    });
  });
  bot.otherwise = watch.trouble;
}

async function breakerOf({ gateway, targetId }: Stage): Promise<TargetBody['breaker']> {
  return (await gateway.client.call<TargetBody>('GET', `/v1/targets/${targetId}`)).body.breaker;
}

/** Keeps the disk full under load until webhooks are refused, then frees it until webhooks are accepted again. */
async function fillDisk(staged: Stage, storm: Storm): Promise<void> {
  const { bot, disk, gateway, watch } = staged;
  bot.otherwise = watch.calm;
  await drained(staged); // Whapi does not rest because of a backlog
  bot.otherwise = watch.trouble;
  await underLoad(gateway, storm, async () => {
    disk.fill(gateway.pid);
    await until(() => expect(storm.refused).toBeGreaterThan(0));
    disk.free(gateway.pid);
    const taken = storm.restored.length;
    await until(() => expect(storm.restored.length).toBeGreaterThan(taken));
  });
}

async function underLoad(gateway: GatewayProcess, storm: Storm, during: () => Promise<void>): Promise<void> {
  let isOver = false;
  const load = storm.run(
    () => gateway.client,
    () => isOver,
  );
  try {
    await during();
  } finally {
    isOver = true;
    await load;
  }
}
