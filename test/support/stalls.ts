import { setTimeout as sleep } from 'node:timers/promises';
import type { Bot } from './bot.js';
import type { Client } from './client.js';

/** How long the bot may get no request although nothing keeps the gateway from sending one. */
const MOST_STALL_MS = 20_000;
const POLL_MS = 5;

/** A target of the API, as far as its circuit breaker. */
export interface TargetBody {
  readonly breaker: {
    readonly state: string;
    readonly next_probe_at: string | null;
    readonly concurrency: number | null;
  };
}

/**
 * Resolves once `isDone` returns true. The bot may take its time while requests reach it or the circuit breaker of its
 * target pauses: a fixed limit would have to be longer than the longest pause. Fails when the bot gets no request for
 * MOST_STALL_MS that no pause explains.
 */
export async function whileMoving(
  bot: Bot,
  client: () => Client,
  targetId: string,
  isDone: () => boolean | Promise<boolean>,
): Promise<void> {
  let requests = bot.requests.length;
  let stalledAt = Date.now() + MOST_STALL_MS;
  while (!(await isDone())) {
    if (bot.requests.length > requests) {
      requests = bot.requests.length;
      stalledAt = Date.now() + MOST_STALL_MS;
    } else if (Date.now() > stalledAt) {
      const { body } = await client().call<TargetBody>('GET', `/v1/targets/${targetId}`);
      const nextProbeAt = Date.parse(body.breaker.next_probe_at ?? '') || 0;
      stalledAt = Math.max(stalledAt, nextProbeAt + MOST_STALL_MS);
      if (Date.now() > stalledAt) throw new Error(`The bot gets no requests: ${JSON.stringify(body.breaker)}`);
    }
    await sleep(POLL_MS);
  }
}
