import { load } from './load.js';
import { acceptPhase } from './phases.js';
import { alternating, figureOf, ratioOf } from './rounds.js';
import { startBareRoute, startGateway } from './servers.js';

/** Durable accept: webhooks answered 200 after their commit, as a ratio to a bare route that stores nothing. */
const ROUNDS = 7;
const SECONDS = 4;

const servers = { bare: await startBareRoute(), gateway: await startGateway() };
for (const { url } of Object.values(servers)) await load(url, { seconds: 2 });
const rounds = await alternating(['bare', 'gateway'], ROUNDS, (side) => acceptPhase(servers[side], SECONDS));
for (const server of Object.values(servers)) await server.stop();

console.log(
  JSON.stringify({
    bench: 'durable accept',
    baseline: 'bare Fastify route that parses JSON and stores nothing',
    ratio: ratioOf(rounds, 'rate', 'gateway', 'bare'),
    per_second: { gateway: figureOf(rounds, 'gateway', 'rate'), baseline: figureOf(rounds, 'bare', 'rate') },
    cpu_ratio: ratioOf(rounds, 'cpuUs', 'gateway', 'bare', 2),
    cpu_us_per_webhook: { gateway: figureOf(rounds, 'gateway', 'cpuUs'), baseline: figureOf(rounds, 'bare', 'cpuUs') },
    bytes_written_per_webhook: figureOf(rounds, 'gateway', 'writtenBytes'),
    p50_ms: { gateway: figureOf(rounds, 'gateway', 'p50'), baseline: figureOf(rounds, 'bare', 'p50') },
    p99_ms: { gateway: figureOf(rounds, 'gateway', 'p99'), baseline: figureOf(rounds, 'bare', 'p99') },
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);
