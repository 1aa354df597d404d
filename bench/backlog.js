import { join } from 'node:path';
import { systemEffects } from '../dist/effects.js';
import { openStore } from '../dist/store/open.js';
import { load } from './load.js';
import { alternating, figureOf, ratioOf } from './rounds.js';
import { startCounter, startGateway } from './servers.js';
import { recordMessages } from './store.js';
import { peakMemoryMb } from './usage.js';

/**
 * A backlog of one million pending deliveries on disk, compared with one thousand in the same run: the speed of claims
 * and settlements, the process's memory while the backlog drains, and the cost for accepting webhooks. Each round records as
 * many deliveries as it claimed, so that both backlogs keep their size and have the same history.
 */
const SIZES = { small: 1000, large: 1_000_000 };
const CLAIMED = 640;
const PER_CLAIM = 64;
/** A round is long enough to be measured, although a thousand pending ones are claimed in 20 ms. */
const TIMES_PER_ROUND = 5;
const ROUNDS = 15;
const ROUNDS_UNDER_LOAD = 5;
const SECONDS = 4;
const LEASE_MS = 60_000;

const bot = await startCounter();
const sides = ['small', 'large'];
const backlogs = { small: await prepared(SIZES.small), large: await prepared(SIZES.large) };
await alternating(sides, 2, claimedRound); // warms up
const rounds = await alternating(sides, ROUNDS, claimedRound);
for (const { store } of Object.values(backlogs)) await store.close();
await backlogs.small.gateway.stop();

const { gateway, target } = backlogs.large;
await gateway.restart();
await load(gateway.url, { seconds: 2 });
const loaded = await alternating(['waiting', 'draining'], ROUNDS_UNDER_LOAD, acceptedBesideBacklog);
const peakMb = peakMemoryMb(gateway.pid);
await gateway.stop();
await bot.stop();

console.log(
  JSON.stringify({
    bench: 'a backlog of one million pending deliveries on disk',
    baseline: 'one thousand pending deliveries; accepting webhooks while nothing is sent',
    ratio: ratioOf(rounds, 'claimRate', 'large', 'small'),
    ratio_by_cpu: ratioOf(rounds, 'claimsPerCpuSecond', 'large', 'small'),
    claims_per_second: ofSides('claimRate'),
    claims_per_cpu_second: ofSides('claimsPerCpuSecond'),
    claimed_and_settled_ratio: ratioOf(rounds, 'settleRate', 'large', 'small'),
    claimed_and_settled_ratio_by_cpu: ratioOf(rounds, 'settledPerCpuSecond', 'large', 'small'),
    claimed_and_settled_per_second: ofSides('settleRate'),
    resident_memory_peak_mb: peakMb,
    drained_per_second_under_load: figureOf(loaded, 'draining', 'drainRate'),
    accept_ratio_while_draining: ratioOf(loaded, 'rate', 'draining', 'waiting'),
    accepts_per_second_while_draining: figureOf(loaded, 'draining', 'rate'),
    baseline_accepts_per_second: figureOf(loaded, 'waiting', 'rate'),
    claims_per_round: CLAIMED * TIMES_PER_ROUND,
    rounds: ROUNDS,
    rounds_under_load: ROUNDS_UNDER_LOAD,
  }),
);

function ofSides(part) {
  return Object.fromEntries(sides.map((side) => [side, figureOf(rounds, side, part)]));
}

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
  const store = await openStore({ engine: 'sqlite', file: join(gateway.folder, 'gateway.db') }, systemEffects);
  await recordMessages(store, count);
  return { gateway, store, target: id };
}

/** Deliveries claimed, and claimed and settled, per second on the clock and per second of CPU. */
async function claimedRound(side) {
  const claiming = { ms: 0, cpuMs: 0 };
  const all = { ms: 0, cpuMs: 0 };
  for (let time = 0; time < TIMES_PER_ROUND; time += 1) {
    await timed(all, () => claimAndSettle(backlogs[side], claiming));
    await recordMessages(backlogs[side].store, CLAIMED);
  }
  const perSecond = (ms) => (CLAIMED * TIMES_PER_ROUND) / (ms / 1000);
  return {
    claimRate: perSecond(claiming.ms),
    claimsPerCpuSecond: perSecond(claiming.cpuMs),
    settleRate: perSecond(all.ms),
    settledPerCpuSecond: perSecond(all.cpuMs),
  };
}

/** As in the delivery loop with a bot that answers at once. */
async function claimAndSettle({ store, target }, claiming) {
  const attempt = { startedAt: Date.now(), durationMs: 1, status: 200, error: null };
  for (let claimed = 0; claimed < CLAIMED; claimed += PER_CLAIM) {
    const claim = () => store.outbox.claim([{ targetId: target, limit: PER_CLAIM }], LEASE_MS);
    const { deliveries } = await timed(claiming, claim);
    if (deliveries.length < PER_CLAIM) throw new Error(`Only ${claimed + deliveries.length} could be claimed.`);
    const settle = ({ id, lease }) => store.outbox.settle({ id, lease, status: 'delivered', attempt });
    await Promise.all(deliveries.map(settle));
  }
}

/** Adds the time and the CPU of some work. */
async function timed(total, work) {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const result = await work();
  total.ms += performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  total.cpuMs += (user + system) / 1000;
  return result;
}

/** Webhooks accepted per second while the backlog waits or drains, and deliveries sent per second meanwhile. */
async function acceptedBesideBacklog(side) {
  await gateway.call('PATCH', `/v1/targets/${target}`, { enabled: side === 'draining' });
  const { count: before } = await bot.seen();
  const startedAt = performance.now();
  const { rate } = await load(gateway.url, { seconds: SECONDS });
  const { count } = await bot.seen();
  return { rate, drainRate: (count - before) / ((performance.now() - startedAt) / 1000) };
}
