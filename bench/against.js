import { parseArgs } from 'node:util';
import { checkout } from './checkout.js';
import { acceptPhase, deliverPhase } from './phases.js';
import { figureOf, oneRound, ratioOf } from './rounds.js';
import { startBareRelay, startBareRoute, startCounter, startGateway } from './servers.js';
import { startSteadySender } from './steady-latency.js';

/**
 * This tree (`after`) against an earlier commit (`before`), and both against a bare relay and a bare route, in alternating
 * rounds of one run: `npm run bench -- against <commit> [--latency] [--rounds 7]`.
 */
const SECONDS = 4;
const WARM_UP_SECONDS = 2;
const CONCURRENCY = 16;
const LATENCY_LOAD = { perSecond: 500, seconds: 6 };
const USAGE = 'usage: npm run bench -- against <commit> [--latency] [--rounds 7]';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { latency: { type: 'boolean', default: false }, rounds: { type: 'string', default: '7' } },
});
const ROUNDS = Number(values.rounds);
if (positionals.length !== 1 || !(ROUNDS >= 1)) {
  console.error(USAGE);
  process.exit(2);
}

const { id, subject, program } = await checkout(positionals[0]);
const gateways = { before: () => startGateway({}, program), after: () => startGateway() };
const benches = [await deliverBench(), await acceptBench()];
if (values.latency) benches.push(await latencyBench());
for (const { sides, measure } of benches) for (const side of sides) await measure(side, WARM_UP_SECONDS);
const figures = {};
const rounds = benches.map(() => []);
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [at, { sides, measure }] of benches.entries())
    rounds[at].push(await oneRound(sides, round, (side) => measure(side, SECONDS)));
}
for (const [at, bench] of benches.entries()) {
  Object.assign(figures, bench.figures(rounds[at]));
  await bench.stop();
}
console.log(
  JSON.stringify({
    bench: `this tree against ${id}`,
    baseline: `before: ${id} ${subject}; relay, route: bare Fastify servers that store nothing`,
    ...figures,
    target_concurrency: CONCURRENCY,
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);

/** Accept and deliver: one target. */
async function deliverBench() {
  const bot = await startCounter();
  const servers = {
    before: await gateways.before(),
    after: await gateways.after(),
    relay: await startBareRelay(bot.url, CONCURRENCY),
  };
  for (const side of ['before', 'after'])
    await servers[side].call('POST', '/v1/targets', { name: 'bot', url: bot.url, concurrency: CONCURRENCY });
  return {
    sides: Object.keys(servers),
    measure: (side, seconds) => deliverPhase(servers[side], bot, seconds),
    figures: (measured) => ({ delivered: phaseFigures(measured, 'relay') }),
    stop: () => stopAll([...Object.values(servers), bot]),
  };
}

/** Accept alone: no target. */
async function acceptBench() {
  const servers = {
    before: await gateways.before(),
    after: await gateways.after(),
    route: await startBareRoute(),
  };
  return {
    sides: Object.keys(servers),
    measure: (side, seconds) => acceptPhase(servers[side], seconds),
    figures: (measured) => ({ accepted: phaseFigures(measured, 'route') }),
    stop: () => stopAll(Object.values(servers)),
  };
}

/** Latency from a webhook in to the request to the bot out, at a steady rate. */
async function latencyBench() {
  const sender = await startSteadySender();
  const servers = { before: await gateways.before(), after: await gateways.after() };
  for (const server of Object.values(servers))
    await server.call('POST', '/v1/targets', { name: 'bot', url: sender.botUrl });
  const urls = { before: servers.before.url, after: servers.after.url, direct: sender.botUrl };
  return {
    sides: Object.keys(urls),
    measure: (side) => sender.measure(urls[side], LATENCY_LOAD),
    figures: (measured) => ({
      latency: {
        per_second: LATENCY_LOAD.perSecond,
        ratio_p50: ratioOf(measured, 'p50', 'after', 'before'),
        ratio_p99: ratioOf(measured, 'p99', 'after', 'before'),
        p50_ms: figuresOf(measured, 'p50', 2),
        p99_ms: figuresOf(measured, 'p99', 2),
      },
    }),
    stop: async () => {
      await stopAll(Object.values(servers));
      await sender.stop();
    },
  };
}

/** The figures of `acceptPhase` or `deliverPhase`. */
function phaseFigures(measured, baseline) {
  return {
    ...compared(measured, 'rate', baseline),
    per_second: figuresOf(measured, 'rate'),
    cpu: compared(measured, 'cpuUs', baseline),
    cpu_us_per_webhook: figuresOf(measured, 'cpuUs'),
    bytes_written_ratio: ratioOf(measured, 'writtenBytes', 'after', 'before'),
    bytes_written_per_webhook: figuresOf(measured, 'writtenBytes'),
  };
}

/** The ratio of after to before, and that of each to the baseline. */
function compared(measured, part, baseline) {
  return {
    ratio: ratioOf(measured, part, 'after', 'before'),
    [`ratio_to_${baseline}`]: {
      before: ratioOf(measured, part, 'before', baseline),
      after: ratioOf(measured, part, 'after', baseline),
    },
  };
}

function figuresOf(measured, part, digits = 0) {
  return Object.fromEntries(Object.keys(measured[0]).map((side) => [side, figureOf(measured, side, part, digits)]));
}

async function stopAll(servers) {
  for (const server of servers) await server.stop();
}
