import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemEffects } from '../dist/effects.js';
import { openStore } from '../dist/store/open.js';
import { load, median } from './load.js';
import { startCounter, startGateway } from './servers.js';
import { recordMessages } from './store.js';

/**
 * A backlog of one million pending deliveries on disk, compared with one thousand in the same run: the speed of claims
 * and settlements, the process's memory while the backlog drains, and the cost for accepting webhooks.
 */
const LARGE = 1_000_000;
const SMALL = 1000;
const CLAIMED = 640;
const PER_CLAIM = 64;
const ROUNDS = 9;
const SECONDS = 6;
const LEASE_MS = 60_000;

const bot = await startCounter();
const large = await prepared(LARGE);
const small = await prepared(SMALL);
const rounds = [];
for (let round = 0; round < ROUNDS; round += 1) {
  rounds.push({ small: await claimRate(small), large: await claimRate(large) });
  await recordMessages(small.store, CLAIMED);
}
for (const { store } of [small, large]) await store.close();
await small.gateway.stop();

await large.gateway.restart();
const waiting = await load(large.gateway.url, { seconds: SECONDS });
const before = await drained();
const startedAt = performance.now();
await large.gateway.call('PATCH', `/v1/targets/${large.target}`, { enabled: true });
const draining = await load(large.gateway.url, { seconds: SECONDS });
const rate = ((await drained()) - before) / ((performance.now() - startedAt) / 1000);
const peakMb = peakMemoryMb(large.gateway.pid);
await large.gateway.stop();
await bot.stop();

console.log(
  JSON.stringify({
    bench: 'a backlog of one million pending deliveries on disk',
    baseline: 'one thousand pending deliveries; accepting webhooks while nothing is sent',
    ratio: ratioOf('claimed'),
    claims_per_second: Math.round(median(rounds.map(({ large }) => large.claimed))),
    baseline_claims_per_second: Math.round(median(rounds.map(({ small }) => small.claimed))),
    claimed_and_settled_ratio: ratioOf('settled'),
    claimed_and_settled_per_second: Math.round(median(rounds.map(({ large }) => large.settled))),
    resident_memory_peak_mb: peakMb,
    drained_per_second_under_load: Math.round(rate),
    accept_ratio_while_draining: rounded(draining.rate / waiting.rate),
    accepts_per_second_while_draining: Math.round(draining.rate),
    baseline_accepts_per_second: Math.round(waiting.rate),
    rounds: ROUNDS,
  }),
);

/** A stopped gateway with one disabled target and the given number of pending deliveries for it. */
async function prepared(count) {
  const gateway = await startGateway();
  const { id } = await gateway.call('POST', '/v1/targets', {
    name: 'bot',
    url: bot.url,
    concurrency: PER_CLAIM,
    enabled: false,
  });
  await gateway.halt();
  const store = openStore({ engine: 'sqlite', file: join(gateway.folder, 'gateway.db') }, systemEffects);
  await recordMessages(store, count);
  return { gateway, store, target: id };
}

/** Deliveries claimed, and claimed and settled, per second, as in the delivery loop with a bot that answers at once. */
async function claimRate({ store, target }) {
  const attempt = { startedAt: Date.now(), durationMs: 1, status: 200, error: null };
  const startedAt = performance.now();
  let claiming = 0;
  let claimed = 0;
  while (claimed < CLAIMED) {
    const askedAt = performance.now();
    const { deliveries } = await store.outbox.claim([{ targetId: target, limit: PER_CLAIM }], LEASE_MS);
    claiming += performance.now() - askedAt;
    if (deliveries.length === 0) throw new Error(`Only ${claimed} deliveries could be claimed.`);
    const settle = ({ id, lease }) => store.outbox.settle({ id, lease, status: 'delivered', attempt });
    await Promise.all(deliveries.map(settle));
    claimed += deliveries.length;
  }
  const perSecond = (ms) => claimed / (ms / 1000);
  return { claimed: perSecond(claiming), settled: perSecond(performance.now() - startedAt) };
}

function ratioOf(part) {
  return rounded(median(rounds.map(({ large, small }) => large[part] / small[part])));
}

async function drained() {
  return (await (await fetch(`${bot.url}/count`)).json()).count;
}

function peakMemoryMb(pid) {
  const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(kib) / 1024);
}

function rounded(number) {
  return Number(number.toFixed(2));
}
