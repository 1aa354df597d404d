import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { createWatch, NO_HARM, reportOf } from './support/chaos-watch.js';
import type { Watch } from './support/chaos-watch.js';
import { startLostMessages } from './support/lost-messages.js';
import type { LostMessages } from './support/lost-messages.js';
import { startCuttingProxy } from './support/postgres/cutting-proxy.js';
import type { CuttingProxy } from './support/postgres/cutting-proxy.js';
import { startPostgres } from './support/postgres/server.js';
import type { PostgresServer } from './support/postgres/server.js';
import { startReplicas } from './support/replicas.js';
import type { Replicas } from './support/replicas.js';
import { sendWebhooksTo } from './support/resync.js';
import { whileMoving } from './support/stalls.js';
import { createStorm } from './support/storm.js';
import type { Storm } from './support/storm.js';

/** `npm run chaos:postgres` makes 200. */
const CRASHES = Number(process.env['CHAOS_CRASHES'] ?? 5);
const IS_LONG = CRASHES >= 50;
const SERVER_CRASHES = IS_LONG ? 3 : 1;
const FREEZES = IS_LONG ? 4 : 1;
/** Longer than PostgreSQL lets a session stand still in a transaction, so that the long test sees it end one. */
const FREEZE_MS = IS_LONG ? 15_000 : 3000;
/** A crash comes after up to this many requests to the bot, at a random moment of recording, claiming, sending or settling. */
const MOST_BEFORE_CRASH = 60;
const TIMEOUT_MS = 250;
/** Answered events that wait for the bot at most. */
const MOST_WAITING = IS_LONG ? 2000 : 500;

/**
 * Shortened, so that the others soon take over from a replica that was killed. Whapi's turn lasts longer than a freeze: only
 * so does a replica that wakes up not call beside another one.
 */
const INTERVALS = {
  deliveryLeaseMs: 3000,
  breaker: { probeMarginMs: 2000 },
  resync: {
    ...{ callTimeoutMs: 2000, callMarginMs: 1000, turnMarginMs: FREEZE_MS + 2000 },
    ...{ spacingMs: 0, proofMs: 50, pollsMs: [500, 1000], checksMs: [100, 200], backoffMs: [100, 200] },
  },
};

interface Stage {
  readonly server: PostgresServer;
  readonly proxy: CuttingProxy;
  readonly replicas: Replicas;
  readonly bot: Bot;
  readonly targetId: string;
  readonly watch: Watch;
  readonly lost: LostMessages;
}

it(
  `three replicas on PostgreSQL: ${CRASHES} SIGKILLs under load, SIGSTOPs, crashes of the server, cut connections and a failing bot: nothing answered is lost, nothing restored leaks, every chat's messages and statuses stay in order, repetitions keep their webhook-id, and Whapi gets one call at a time (I1–I6)`,
  async () => {
    const staged = await stage();
    const { bot, lost, proxy, watch } = staged;
    const storm = createStorm((answered) => answered - watch.delivered.size > MOST_WAITING);
    proxy.startCutting();
    await underLoad(staged, storm, async () => await disturb(staged));
    bot.otherwise = watch.calm;
    await drained(staged);

    const result = {
      chaos: 'three replicas on PostgreSQL',
      ...{ crashes: CRASHES, server_crashes: SERVER_CRASHES, freezes: FREEZES, cut_connections: proxy.cuts },
      ...{ refused: storm.refused, most_calls_at_once: lost.mostCallsAtOnce(), not_asked_for: lost.missing() },
      ...reportOf(storm, watch, bot, lost.restored),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    expect(result).toMatchObject({ ...NO_HARM, most_calls_at_once: 1, not_asked_for: 0 });
    expect(lost.restored.length).toBeGreaterThan(0);
    expect(storm.restored.length).toBeGreaterThan(CRASHES);
  },
  300_000 + CRASHES * 20_000,
);

async function stage(): Promise<Stage> {
  const server = await startPostgres();
  onTestFinished(async () => await server.stop());
  const proxy = await startCuttingProxy(server.url);
  const [replicas, bot, lost] = await Promise.all([
    startReplicas(3, proxy.url, INTERVALS),
    startBot(),
    startLostMessages(['second', 'third'], 'main'),
  ]);
  const watch = createWatch();
  bot.otherwise = watch.trouble;
  for (const [name, whapi] of lost.simulators) {
    await replicas.client.addChannel({ name, whapi_token: whapi.token, whapi_base_url: whapi.url });
    sendWebhooksTo(replicas, whapi, name);
  }
  const settings = { url: bot.url, timeout_ms: TIMEOUT_MS, max_attempts: 100, retry_delays_seconds: [1] };
  const { id: targetId } = await replicas.client.addTarget(settings);
  return { server, proxy, replicas, bot, targetId, watch, lost };
}

/** Kills replicas, and now and then freezes one or crashes the server as well. */
async function disturb(staged: Stage): Promise<void> {
  const { replicas, server } = staged;
  for (let crash = 0; crash < CRASHES; crash += 1) {
    if (isTime(crash, SERVER_CRASHES)) await server.crash(crash % 2 === 0 ? 'SIGQUIT' : 'SIGKILL');
    if (isTime(crash + 1, FREEZES)) await replicas.freezeOne(async () => await goOnFor(staged, FREEZE_MS));
    await moreRequests(staged, 1 + Math.floor(Math.random() * MOST_BEFORE_CRASH));
    await replicas.crashOne();
  }
}

/** Whether something that happens this many times happens now. */
function isTime(crash: number, times: number): boolean {
  const every = Math.floor(CRASHES / (times + 1));
  return crash > 0 && crash % every === 0 && crash / every <= times;
}

/** The others go on for this long, and at least until the bot has got some more requests. */
async function goOnFor(staged: Stage, ms: number): Promise<void> {
  await Promise.all([sleep(ms), moreRequests(staged, MOST_BEFORE_CRASH / 3)]);
}

async function moreRequests(staged: Stage, count: number): Promise<void> {
  const enough = staged.bot.requests.length + count;
  await moving(staged, () => staged.bot.requests.length >= enough);
}

async function moving({ bot, replicas, targetId }: Stage, isDone: () => boolean | Promise<boolean>): Promise<void> {
  await whileMoving(
    bot,
    () => replicas.client,
    targetId,
    async () => {
      replicas.check();
      return await isDone();
    },
  );
}

/** Whapi has brought back what it was asked for and was answered 200 to all of it, and the bot has got the rest. */
async function drained(staged: Stage): Promise<void> {
  const { lost, replicas } = staged;
  await replicas.started();
  await lost.allBack();
  for (const whapi of lost.simulators.values()) await whapi.idle();
  await moving(staged, async () => {
    const { body } = await replicas.client.call<{ data: unknown[] }>('GET', '/v1/deliveries?status=pending&limit=1');
    return body.data.length === 0;
  });
}

async function underLoad({ replicas, lost }: Stage, storm: Storm, during: () => Promise<void>): Promise<void> {
  let isOver = false;
  const isEnough = (): boolean => isOver;
  const load = Promise.all([storm.run(replicas.anyone, isEnough), lost.run(replicas.anyone, isEnough)]);
  try {
    await during();
  } finally {
    isOver = true;
    await load;
  }
}
