import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { readConfig } from '../config.js';
import { signatureOf } from '../delivery/sign.js';
import { MINUTE_MS } from '../durations.js';
import type { Effects } from '../effects.js';
import { startGateway, DEFAULT_INTERVALS } from '../gateway.js';
import type { Intervals } from '../gateway.js';
import { newSigningSecret, signingKey } from '../signing-secret.js';
import { startSimulator } from '../simulator/simulator.js';
import type { Simulator } from '../simulator/simulator.js';
import { startBot } from './bot.js';
import type { Bot } from './bot.js';
import { bodyOf, createCaller } from './caller.js';
import type { Call } from './caller.js';
import { openDatabase } from './database.js';
import type { DemoEngine } from './database.js';

export const CHANNEL = 'demo';

const SIGNATURE_TOLERANCE_MS = 5 * MINUTE_MS;

/** Everything that the story runs on. */
export interface Stage {
  /** What the gateway stores its data in, in words. */
  readonly database: string;
  readonly simulator: Simulator;
  /** The simulated Whapi's API, with the channel's token. */
  readonly whapi: Call;
  /** The gateway's API, as its admin. */
  readonly gateway: Call;
  /** The bot behind the gateway. */
  readonly bot: Bot;
  /** The same bot directly behind Whapi; its answers are counted, not sent. */
  readonly directBot: Bot;
  /** How many times faster than the real Whapi the simulated one is. */
  readonly timeScale: number;
  /** The clock of everything on the stage. */
  readonly effects: Effects;
  /** Moves that clock forward at once. */
  advanceClock(ms: number): void;
  readonly signal: AbortSignal;
  /** Stops everything and removes the temporary folder. */
  close(): Promise<void>;
}

/** Starts everything on free ports and in a temporary folder. */
export async function openStage(
  engine: DemoEngine,
  timeScale: number,
  machineEffects: Effects,
  signal: AbortSignal,
): Promise<Stage> {
  let passedMs = 0;
  const now = (): number => machineEffects.now() + passedMs;
  const effects: Effects = { ...machineEffects, now, serverNow: now };
  const advanceClock = (ms: number): void => void (passedMs += ms);
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-demo-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));

    const database = await openDatabase(engine, folder, effects, signal);
    closers.push(database.close);
    const simulator = await startSimulator({ timeScale, effects });
    closers.push(async () => await simulator.close());
    const whapi = createCaller(simulator.url, simulator.token, signal);

    const secret = newSigningSecret(effects.randomBytes);
    const bot = await startBot({
      isGenuine: signatureCheck(secret, effects),
      send: async (to, body) => {
        await bodyOf(whapi('POST', '/messages/text', { to, body }));
      },
    });
    closers.push(bot.close);
    const directBot = await startBot({ isGenuine: () => true, send: async () => await Promise.resolve() });
    closers.push(directBot.close);

    const config = readConfig({
      PORT: '0',
      API_RATE_PER_MINUTE: '0',
      ...database.settings,
    });
    const started = await startGateway(config, effects, pino({ level: 'silent' }), intervalsFor(timeScale));
    closers.push(started.close);
    const gateway = createCaller(started.url, started.keys.adminToken, signal);

    const channel = await bodyOf(
      gateway<{ webhook_url: string; webhook_secret: string }>('POST', '/v1/channels', {
        name: CHANNEL,
        whapi_token: simulator.token,
        whapi_base_url: simulator.url,
      }),
    );
    await bodyOf(gateway('POST', '/v1/targets', { name: 'bot', url: bot.url, secret }));
    const events = [{ type: 'messages', method: 'post' }] as const;
    const headers = { Authorization: `Bearer ${channel.webhook_secret}` };
    simulator.setWebhooks([
      { url: started.url + channel.webhook_url, headers, events },
      { url: directBot.url, events },
    ]);
    const clock = { timeScale, effects, advanceClock };
    return { database: database.name, simulator, whapi, gateway, bot, directBot, ...clock, signal, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Verifies a signature by Standard Webhooks with the clock of the stage; libraries use the machine's. */
function signatureCheck(
  secret: string,
  { now }: Pick<Effects, 'now'>,
): (body: Buffer, headers: IncomingHttpHeaders) => boolean {
  const key = signingKey(secret);
  return (body, headers) => {
    const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) =>
      String(headers[`webhook-${name}`]),
    );
    const seconds = Number(timestamp);
    if (!(Math.abs(now() - seconds * 1000) <= SIGNATURE_TOLERANCE_MS)) return false;
    return (signatures ?? '').split(' ').includes(signatureOf(key, id ?? '', seconds, body));
  };
}

/** The gateway's intervals, shortened by the time scale of the simulated Whapi. */
function intervalsFor(timeScale: number): Intervals {
  const shortened = (pausesMs: readonly number[]): number[] => pausesMs.map((ms) => ms / timeScale);
  const { retryDelaysMs, breaker, resync, audit } = DEFAULT_INTERVALS;
  return {
    ...DEFAULT_INTERVALS,
    retryDelaysMs: shortened(retryDelaysMs),
    breaker: { ...breaker, pausesMs: shortened(breaker.pausesMs) },
    resync: {
      ...resync,
      proofMs: resync.proofMs / timeScale,
      pollsMs: shortened(resync.pollsMs),
      backoffMs: shortened(resync.backoffMs),
      checksMs: shortened(resync.checksMs),
      spacingMs: resync.spacingMs / timeScale,
      healthEveryMs: resync.healthEveryMs / timeScale,
    },
    audit: { ...audit, backoffMs: shortened(audit.backoffMs) },
  };
}
