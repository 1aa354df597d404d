import { load } from './load.js';
import { usageOf, usagePerWebhook } from './usage.js';

const POLL_MS = 100;
const PATIENCE_MS = 120_000;

/** Webhooks as fast as they are answered: rate, latency of the answer, and what the server used for each. */
export async function acceptPhase(server, seconds) {
  const before = usageOf(server.pid);
  const { rate, p50, p99, total } = await load(server.url, { seconds });
  return { rate, p50, p99, ...usagePerWebhook(server.pid, before, total) };
}

/**
 * The same with a bot behind the server. The rate covers the time from the first webhook sent to the bot's last answer. CPU and
 * bytes are counted until nothing is pending, so that settlements are included.
 * @param server optionally with `isIdle`, which resolves with whether nothing is pending
 */
export async function deliverPhase(server, bot, seconds) {
  const { count: countBefore } = await bot.seen();
  const before = usageOf(server.pid);
  const startedAt = Date.now();
  const { p50, p99, total } = await load(server.url, { seconds });
  const { count, lastAt } = await seenAll(server, bot, countBefore + total);
  const delivered = count - countBefore; // a few more than `total`: the generator leaves while some are under way
  return {
    rate: delivered / ((lastAt - startedAt) / 1000),
    p50,
    p99,
    ...usagePerWebhook(server.pid, before, delivered),
  };
}

/** Waits until the bot has seen that many, nothing is pending, and nothing more arrives. */
async function seenAll(server, bot, least) {
  const deadline = Date.now() + PATIENCE_MS;
  let last = await bot.seen();
  while (Date.now() < deadline) {
    await new Promise((next) => setTimeout(next, POLL_MS));
    const seen = await bot.seen();
    const isComplete = seen.count >= least && seen.count === last.count;
    if (isComplete && ((await server.isIdle?.()) ?? true)) return seen;
    last = seen;
  }
  throw new Error(`The bot has seen ${last.count} of ${least} requests after ${PATIENCE_MS / 1000} s.`);
}
