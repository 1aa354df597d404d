import { expect, onTestFinished } from 'vitest';
import { ALL_EVENTS } from '../../src/simulator/webhooks.js';
import { startSimulator } from '../../src/simulator/simulator.js';
import type { Faults, Simulator, SimulatorCall, SimulatorOptions } from '../../src/simulator/simulator.js';
import type { ResyncIntervals } from '../../src/resync/policy.js';
import type { ResyncJson, ResyncMessageJson } from './api.js';
import { startBot } from './bot.js';
import type { Bot } from './bot.js';
import { WEBHOOK_SECRET } from './client.js';
import type { Client } from './client.js';
import { startLocal } from './gateway.js';
import type { LocalGateway, LocalOptions } from './gateway.js';
import { QUICK_AUDIT, QUICK_RESYNC, QUICK_RETRIES_MS, until } from './intervals.js';
import { textMessage } from './texts.js';

export interface ExplanationJson {
  readonly ledger: { readonly first_seen_at: string | null } | null;
  readonly sightings: readonly { carrier: string; verdict: string; rule: number; held: boolean; event: string }[];
  readonly resyncs: readonly ResyncMessageJson[];
  readonly deliveries: readonly unknown[];
}

export interface ResyncStage {
  readonly gateway: LocalGateway;
  readonly whapi: Simulator;
  readonly bot: Bot;
}

export interface ResyncOptions extends Omit<LocalOptions, 'intervals'> {
  readonly faults?: Partial<Faults>;
  readonly intervals?: Partial<ResyncIntervals>;
}

export function intervalsWith(intervals: Partial<ResyncIntervals> = {}): Required<LocalOptions>['intervals'] {
  return { retryDelaysMs: QUICK_RETRIES_MS, resync: { ...QUICK_RESYNC, ...intervals }, audit: QUICK_AUDIT };
}

/** A gateway, a simulated Whapi as its channel `main` that sends it webhooks, and a bot that wants everything. */
export async function startResyncs({
  faults = {},
  intervals = {},
  ...options
}: ResyncOptions = {}): Promise<ResyncStage> {
  const gateway = await startLocal({ ...options, intervals: intervalsWith(intervals) });
  const bot = await startBot();
  await gateway.addTarget({ url: bot.url });
  const whapi = await addWhapi(gateway, 'main');
  Object.assign(whapi.faults, faults);
  return { gateway, whapi, bot };
}

/** Another simulated Whapi, as its own channel. */
export async function addWhapi(
  gateway: LocalGateway,
  channel: string,
  options: SimulatorOptions = {},
): Promise<Simulator> {
  const whapi = await startSimulator({ timeScale: 1000, ...options });
  onTestFinished(async () => await whapi.close());
  await gateway.addChannel({ name: channel, whapi_token: whapi.token, whapi_base_url: whapi.url });
  sendWebhooksTo(gateway, whapi, channel);
  return whapi;
}

export function sendWebhooksTo({ url }: Pick<LocalGateway, 'url'>, whapi: Simulator, channel = 'main'): void {
  const headers = { authorization: `Bearer ${WEBHOOK_SECRET}` };
  whapi.setWebhooks([{ url: `${url}/webhooks/${channel}`, mode: 'method', events: ALL_EVENTS, headers }]);
}

/** The phone has these messages, and Whapi has lost them. */
export function lose(whapi: Simulator, ids: readonly string[]): void {
  for (const id of ids) whapi.store(textMessage({ id }), { cached: false });
}

/** Requests a resync from the gateway. */
export async function resync(
  gateway: LocalGateway,
  ids: readonly string[],
  more: Record<string, unknown> = {},
): Promise<ResyncJson> {
  const request = { channel: 'main', message_ids: ids, ...more };
  const { status, body } = await gateway.call<ResyncJson>('POST', '/v1/resyncs', request);
  expect(status).toBe(202);
  return body;
}

export async function explain(gateway: LocalGateway, id: string, channel = 'main'): Promise<ExplanationJson> {
  return (await gateway.call<ExplanationJson>('GET', `/v1/messages/${channel}/${id}`)).body;
}

/** A message's state in its newest resync. */
export async function messageOf(gateway: LocalGateway, id: string, channel = 'main'): Promise<ResyncMessageJson> {
  const message = (await explain(gateway, id, channel)).resyncs.at(-1);
  if (!message) throw new Error(`${id} is not registered.`);
  return message;
}

/** Resolves when a message's newest resync has this state. */
export async function messageIs(
  gateway: LocalGateway,
  id: string,
  wanted: Partial<ResyncMessageJson>,
  channel = 'main',
): Promise<ResyncMessageJson> {
  return await until(async () => {
    const message = await messageOf(gateway, id, channel);
    expect(message).toMatchObject(wanted);
    return message;
  });
}

export async function runOf(gateway: Client, id: string): Promise<ResyncJson> {
  return (await gateway.call<ResyncJson>('GET', `/v1/resyncs/${id}`)).body;
}

/** Resolves when a resync is over. */
export async function finished(gateway: Client, id: string): Promise<ResyncJson> {
  return await until(async () => {
    const run = await runOf(gateway, id);
    expect(run.status).not.toBe('running');
    return run;
  });
}

/** Resolves when a resync pauses for this reason. */
export async function pausedWith(gateway: Client, id: string, code: string, words = ''): Promise<ResyncJson> {
  return await until(async () => {
    const run = await runOf(gateway, id);
    expect(run.pause).toMatchObject({ code, reason: expect.stringContaining(words) as unknown });
    return run;
  });
}

/** The calls for messages, without health checks. */
export function callsOf(whapi: Simulator): SimulatorCall[] {
  return whapi.calls.filter(({ messageId }) => messageId !== undefined);
}
