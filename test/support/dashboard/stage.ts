import { startSimulator } from '../../../src/simulator/simulator.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { ADMIN_TOKEN, startGatewayServer, startStageBot } from './servers.js';
import type { GatewayServer, StageBot } from './servers.js';
import { until } from '../intervals.js';

/** A gateway with a simulated Whapi and three bots, and on request with something on every page. */
export interface Stage {
  readonly gateway: GatewayServer;
  readonly whapi: Simulator;
  readonly bots: { readonly good: StageBot; readonly failing: StageBot; readonly refusing: StageBot };
  call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T>;
  /** A webhook of the channel `shop`. */
  webhook(payload: Record<string, unknown>): Promise<void>;
  close(): Promise<void>;
}

export const WEBHOOK_SECRET = 'the-secret-of-the-shop-webhook';
/** What a page must show as text. It would set a mark where it ran. */
export const HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>{{1}}"\'';

/** `words` are what the bots add to their answers. */
export async function startStage(words = HOSTILE): Promise<Stage> {
  const bots = {
    good: await startStageBot(200),
    failing: await startStageBot(500, `broken ${words}`),
    refusing: await startStageBot(400, `refused ${words}`),
  };
  const whapi = await startSimulator({ timeScale: 1000 });
  const gateway = await startGatewayServer();
  return {
    gateway,
    whapi,
    bots,
    call: async (method, path, body) => await call(gateway.url, ADMIN_TOKEN, method, path, body),
    webhook: async (payload) => {
      await call(gateway.url, WEBHOOK_SECRET, 'POST', '/webhooks/shop', payload);
    },
    close: async () => {
      await gateway.close();
      await Promise.all([whapi.close(), ...Object.values(bots).map(async (bot) => await bot.close())]);
    },
  };
}

async function call<T>(url: string, token: string, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text === '' ? null : JSON.parse(text)) as T;
}

/** Resolves with the result of `check` once it gives something. */
export async function eventually<T>(check: () => Promise<T | null | undefined | false>): Promise<T> {
  return await until(async () => {
    const found = await check();
    if (found === null || found === undefined || found === false) throw new Error('It did not happen in time.');
    return found;
  });
}
