import { load, median } from './load.js';
import { startBareRoute, startCounter, startGateway } from './servers.js';

/**
 * End to end: webhooks delivered to a bot, from the first one sent to the last one answered by the bot, as a ratio to
 * the accept rate of a bare route that stores and forwards nothing.
 */
const ROUNDS = 3;
const SECONDS = 6;
const CONCURRENCY = 64;

async function deliver(gateway, bot, before) {
  const startedAt = performance.now();
  const { total, p99 } = await load(gateway.url, { seconds: SECONDS });
  let count = 0;
  while (count < before + total) {
    ({ count } = await (await fetch(`${bot.url}/count`)).json());
    await new Promise((next) => setTimeout(next, 20));
  }
  return { total, p99, rate: total / ((performance.now() - startedAt) / 1000) };
}

const bare = await startBareRoute();
const bot = await startCounter();
const gateway = await startGateway();
await gateway.call('POST', '/v1/targets', { name: 'bot', url: bot.url, concurrency: CONCURRENCY });
await load(bare.url, { seconds: 2 });
let delivered = (await deliver(gateway, bot, 0)).total;
const rounds = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const plain = await load(bare.url, { seconds: SECONDS });
  const through = await deliver(gateway, bot, delivered);
  delivered += through.total;
  rounds.push({ plain, through });
}
await gateway.stop();
await bare.stop();
await bot.stop();

console.log(
  JSON.stringify({
    bench: 'end to end with one target',
    baseline: 'bare Fastify route that parses JSON and stores nothing',
    ratio: Number(median(rounds.map(({ plain, through }) => through.rate / plain.rate)).toFixed(3)),
    baseline_per_second: Math.round(median(rounds.map(({ plain }) => plain.rate))),
    delivered_per_second: Math.round(median(rounds.map(({ through }) => through.rate))),
    accept_p99_ms: median(rounds.map(({ through }) => through.p99)),
    target_concurrency: CONCURRENCY,
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);
