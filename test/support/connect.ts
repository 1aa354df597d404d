import { expect, onTestFinished } from 'vitest';
import { CONNECT_TIMEOUTS } from '../../src/connect/connector.js';
import { startSimulator } from '../../src/simulator/simulator.js';
import type { Simulator, SimulatorOptions } from '../../src/simulator/simulator.js';
import type { Settings, WebhookSetting } from '../../src/whapi/wire.js';
import { startBot } from './bot.js';
import type { Bot } from './bot.js';
import { WEBHOOK_SECRET } from './client.js';
import { startLocal } from './gateway.js';
import type { LocalGateway, LocalOptions } from './gateway.js';

export interface ConnectJson {
  readonly changed: boolean;
  readonly changes: readonly string[];
  readonly before: SettingsJson;
  readonly after: SettingsJson;
  readonly warnings: readonly {
    readonly code: string;
    readonly webhook_url: string | null;
    readonly message: string;
  }[];
  readonly verified: boolean | null;
  readonly verification: string;
}

interface SettingsJson {
  readonly callback_persist: boolean;
  readonly webhooks: readonly { readonly url: string; readonly mode: string; readonly events: readonly string[] }[];
}

export interface ConnectStage {
  readonly gateway: LocalGateway;
  readonly whapi: Simulator;
  readonly bot: Bot;
  /** The current settings at Whapi. */
  settings(): Promise<Settings>;
  /** Changes them as another client would. */
  change(settings: Settings): Promise<void>;
  connect(body?: Record<string, unknown>): Promise<ConnectJson>;
  disconnect(body?: Record<string, unknown>): Promise<ConnectJson>;
}

/** Another client's webhook, with fields that the gateway does not know. */
export const OTHER = {
  url: 'https://crm.example/hook?key=of-the-crm',
  mode: 'path',
  events: [{ type: 'messages', method: 'post' }],
  headers: { 'X-Key': 'secret-of-the-crm' },
  send_undecrypted_ad: true,
  some_day: { nested: [1, null] },
} as const satisfies WebhookSetting;

/**
 * A gateway with a channel `main` that is not connected to its simulated Whapi yet. The settings there have another
 * webhook and callback_persist false.
 */
export async function startConnect(
  { intervals, ...options }: LocalOptions = {},
  ofWhapi: SimulatorOptions = {},
): Promise<ConnectStage> {
  const connect = { ...CONNECT_TIMEOUTS, arrivalMs: 50, lookEveryMs: 5 };
  const gateway = await startLocal({ ...options, intervals: { connect, ...intervals } });
  const bot = await startBot();
  const whapi = await startSimulator({ timeScale: 1000, ...ofWhapi });
  onTestFinished(async () => await whapi.close());
  await gateway.addChannel({ whapi_token: whapi.token, whapi_base_url: whapi.url });
  const headers = { authorization: `Bearer ${whapi.token}`, 'content-type': 'application/json' };
  const stage: ConnectStage = {
    gateway,
    whapi,
    bot,
    settings: async () => (await (await fetch(`${whapi.url}/settings`, { headers })).json()) as Settings,
    change: async (settings) => {
      const init = { method: 'PATCH', headers, body: JSON.stringify(settings) };
      expect((await fetch(`${whapi.url}/settings`, init)).status).toBe(200);
    },
    connect: async (body = {}) => await ask('connect', { public_url: gateway.url, ...body }),
    disconnect: async (body = {}) => await ask('disconnect', body),
  };
  const ask = async (what: string, body: Record<string, unknown>): Promise<ConnectJson> => {
    const answer = await gateway.call<ConnectJson>('POST', `/v1/channels/main/${what}`, body);
    expect(answer).toMatchObject({ status: 200 });
    return answer.body;
  };
  await stage.change({ callback_persist: false, webhooks: [OTHER] });
  return stage;
}

/** The gateway's webhook for the channel `main` among those at Whapi. */
export async function oursOf({ gateway, settings }: ConnectStage): Promise<WebhookSetting | undefined> {
  return (await settings()).webhooks?.find(({ url }) => url.startsWith(`${gateway.url}/webhooks/main`));
}

export const SECRET_HEADER = { Authorization: `Bearer ${WEBHOOK_SECRET}` };
