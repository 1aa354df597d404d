import { acceptPhase, deliverPhase } from './phases.js';
import { alternating, figureOf, ratioOf } from './rounds.js';
import { startBareRelay, startBareRoute, startCounter, startGateway } from './servers.js';

/**
 * Accept and deliver: webhooks through the gateway to one bot, from the first one sent to the last one answered by the bot,
 * as a ratio to a bare relay, which parses, signs and sends without storing anything. A bare route, which only parses and
 * answers, shows what HTTP alone costs. Bot and servers are processes of their own.
 */
const ROUNDS = 7;
const SECONDS = 4;
const CONCURRENCY = 16;

const bot = await startCounter();
const servers = {
  route: await startBareRoute(),
  relay: await startBareRelay(bot.url, CONCURRENCY),
  gateway: await startGateway(),
};
await servers.gateway.call('POST', '/v1/targets', { name: 'bot', url: bot.url, concurrency: CONCURRENCY });
const measure = async (side, seconds) =>
  side === 'route' ? await acceptPhase(servers.route, seconds) : await deliverPhase(servers[side], bot, seconds);

const sides = Object.keys(servers);
for (const side of sides) await measure(side, 2); // warms it up
const rounds = await alternating(sides, ROUNDS, (side) => measure(side, SECONDS));
for (const server of [...Object.values(servers), bot]) await server.stop();

const ofSides = (part) => Object.fromEntries(sides.map((side) => [side, figureOf(rounds, side, part)]));
console.log(
  JSON.stringify({
    bench: 'accept and deliver, one target',
    baseline: 'bare relay (Fastify, JSON.parse, HMAC, undici) that stores nothing and answers after the bot',
    ratio: ratioOf(rounds, 'rate', 'gateway', 'relay'),
    ratio_to_bare_route: ratioOf(rounds, 'rate', 'gateway', 'route'),
    delivered_per_second: ofSides('rate'),
    cpu_ratio: ratioOf(rounds, 'cpuUs', 'gateway', 'relay', 2),
    cpu_us_per_webhook: ofSides('cpuUs'),
    bytes_written_per_webhook: figureOf(rounds, 'gateway', 'writtenBytes'),
    accept_p99_ms: ofSides('p99'),
    target_concurrency: CONCURRENCY,
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);
