import { expect, onTestFinished } from 'vitest';
import type { Simulator } from '../../src/simulator/simulator.js';
import { pagesOf } from './api.js';
import { startBot } from './bot.js';
import type { Bot } from './bot.js';
import { startClock } from './clock.js';
import type { TestClock } from './clock.js';
import { temporaryFolder } from './files.js';
import { startLocal } from './gateway.js';
import type { LocalGateway } from './gateway.js';
import { until } from './intervals.js';
import { addWhapi, intervalsWith, sendWebhooksTo } from './resync.js';
import { textMessage, textWebhook } from './texts.js';
import type { Text } from './texts.js';

export interface AuditJson {
  readonly id: string;
  readonly kind: string;
  readonly status: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly round: number;
  readonly warnings: readonly string[];
  readonly error: string | null;
}

export interface AuditStage {
  /** The running gateway, a new one after a restart. */
  readonly gateway: LocalGateway;
  readonly whapi: Simulator;
  readonly bot: Bot;
  readonly clock: TestClock;
  /** Unix seconds when the channel was added, thirty days ago. */
  readonly begun: number;
  /** Called with the number (from 1) of each call to Whapi's list, before the next one is made. */
  onList: (call: number) => void;
  /** Closes the gateway and starts it again on the same data. */
  restart(): Promise<void>;
}

export const DAYS = 30;
const DAY_MS = 86_400_000;
const MESSAGES_PER_WEBHOOK = 500;

/** A gateway whose channel `main`, a simulated Whapi, was added thirty days ago, and a bot. */
export async function startAudits(): Promise<AuditStage> {
  const clock = startClock();
  const options = { effects: clock.effects, intervals: intervalsWith(), folder: temporaryFolder() };
  let gateway = await startLocal(options);
  const bot = await startBot();
  await gateway.addTarget({ url: bot.url });
  let lists = 0;
  const whapi = await addWhapi(gateway, 'main', {
    onEvent: (event) => {
      if (event.kind !== 'call') return;
      // A health check follows a failure. Whapi recovers after the first one, or the list would not be requested again.
      if (event.path === '/health') whapi.faults.restStatus = null;
      if (event.path === '/messages/list') stage.onList((lists += 1));
    },
  });
  const begun = Math.floor(clock.now() / 1000);
  clock.advance(DAYS * DAY_MS);
  const stage: AuditStage = {
    get gateway() {
      return gateway;
    },
    whapi,
    bot,
    clock,
    begun,
    onList: () => undefined,
    restart: async () => {
      await gateway.close();
      gateway = await startLocal(options);
      sendWebhooksTo(gateway, whapi);
    },
  };
  onTestFinished(async () => await gateway.close());
  return stage;
}

/** Stores these messages at Whapi and sends their webhooks, except for those that `isMissing` selects. */
export async function storeHistory(
  { gateway, whapi }: AuditStage,
  texts: readonly Text[],
  isMissing: (text: Text) => boolean = () => false,
): Promise<void> {
  for (const text of texts) whapi.store(textMessage(text));
  const came = texts.filter((text) => !isMissing(text));
  for (let at = 0; at < came.length; at += MESSAGES_PER_WEBHOOK) {
    const { status } = await gateway.webhook(textWebhook(...came.slice(at, at + MESSAGES_PER_WEBHOOK)));
    expect(status).toBe(200);
  }
}

/** Audits the whole time since the channel was added. */
export async function audit(
  { gateway, begun, clock }: AuditStage,
  more: Record<string, unknown> = {},
): Promise<string> {
  const range = { since: isoSeconds(begun), until: new Date(clock.now()).toISOString() };
  const { status, body } = await gateway.call<AuditJson>('POST', '/v1/audits', { channel: 'main', ...range, ...more });
  expect(status).toBe(202);
  return body.id;
}

export async function seed({ gateway }: AuditStage): Promise<string> {
  const { status, body } = await gateway.call<AuditJson>('POST', '/v1/channels/main/seed');
  expect(status).toBe(202);
  return body.id;
}

export async function auditOf({ gateway }: AuditStage, id: string): Promise<AuditJson> {
  return (await gateway.call<AuditJson>('GET', `/v1/audits/${id}`)).body;
}

/** Resolves when an audit or a seeding is over. */
export async function auditIsOver(stage: AuditStage, id: string): Promise<AuditJson> {
  return await until(async () => {
    const view = await auditOf(stage, id);
    expect(view.status).not.toBe('running');
    return view;
  });
}

/** The ids of the messages that never came. */
export async function missingIn({ gateway }: AuditStage, id: string): Promise<string[]> {
  const pages = await pagesOf<{ message_id: string }>(gateway, `/v1/audits/${id}/messages`, 500);
  return pages.flat().map(({ message_id }) => message_id);
}

export function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
