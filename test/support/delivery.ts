import { startBot } from './bot.js';
import type { Bot, BotRequest } from './bot.js';
import { startLocal } from './gateway.js';
import type { LocalGateway, LocalOptions } from './gateway.js';
import { QUICK_RETRIES_MS } from './intervals.js';

export interface AttemptJson {
  readonly started_at: string;
  readonly duration_ms: number;
  readonly status: number | null;
  readonly error: string | null;
  readonly response: string | null;
}

export interface DeliveryJson {
  readonly id: string;
  readonly status: string;
  readonly target: string;
  readonly attempts: number;
  readonly next_attempt_at: string | null;
  readonly waits_for: string | null;
  readonly last_error: string | null;
  readonly log: readonly AttemptJson[];
}

export interface DeliveryStage {
  readonly gateway: LocalGateway;
  readonly bot: Bot;
  readonly target: { readonly id: string; readonly secret: string };
}

/** A gateway that retries within milliseconds, with the channel `main`, a bot and a target for it. */
export async function startDelivery(
  settings: Record<string, unknown> = {},
  options: LocalOptions = {},
): Promise<DeliveryStage> {
  const gateway = await startLocal({ intervals: { retryDelaysMs: QUICK_RETRIES_MS }, ...options });
  const bot = await startBot();
  await gateway.addChannel();
  const target = await gateway.addTarget({ url: bot.url, ...settings });
  return { gateway, bot, target };
}

/** The request number `count` (from 1) to a bot. */
export async function requestTo(bot: Bot, count = 1): Promise<BotRequest> {
  const request = (await bot.received(count))[count - 1];
  if (!request) throw new Error(`There is no request ${count}.`);
  return request;
}

/** The ids of all messages that a bot received, in order, repetitions included. */
export function idsSentTo({ requests }: Bot): string[] {
  return requests.flatMap(({ ids }) => ids);
}

/** The deliveries of a message, with their attempts. */
export async function deliveriesOf(
  gateway: LocalGateway,
  messageId: string,
  channel = 'main',
): Promise<readonly DeliveryJson[]> {
  const path = `/v1/messages/${channel}/${messageId}`;
  const { body } = await gateway.call<{ deliveries: readonly DeliveryJson[] }>('GET', path);
  return body.deliveries;
}

/** The only delivery of a message. */
export async function deliveryOf(gateway: LocalGateway, messageId: string): Promise<DeliveryJson> {
  const [delivery, ...more] = await deliveriesOf(gateway, messageId);
  if (!delivery || more.length > 0) throw new Error(`There are ${more.length} more deliveries of it, or none.`);
  return delivery;
}
