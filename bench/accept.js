import { load, median } from './load.js';
import { startBareRoute, startGateway } from './servers.js';

/** Durable accept: webhooks answered 200 after their commit, as a ratio to a bare route that stores nothing. */
const ROUNDS = 5;
const SECONDS = 5;

const bare = await startBareRoute();
const gateway = await startGateway();
await load(bare.url, { seconds: 2 });
await load(gateway.url, { seconds: 2 });
const rounds = [];
for (let round = 0; round < ROUNDS; round += 1) {
  rounds.push({
    bare: await load(bare.url, { seconds: SECONDS }),
    gateway: await load(gateway.url, { seconds: SECONDS }),
  });
}
await gateway.stop();
await bare.stop();

console.log(
  JSON.stringify({
    bench: 'durable accept',
    baseline: 'bare Fastify route that parses JSON and stores nothing',
    ratio: Number(median(rounds.map((round) => round.gateway.rate / round.bare.rate)).toFixed(3)),
    baseline_per_second: Math.round(median(rounds.map((round) => round.bare.rate))),
    gateway_per_second: Math.round(median(rounds.map((round) => round.gateway.rate))),
    gateway_p50_ms: median(rounds.map((round) => round.gateway.p50)),
    gateway_p99_ms: median(rounds.map((round) => round.gateway.p99)),
    baseline_p99_ms: median(rounds.map((round) => round.bare.p99)),
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);
