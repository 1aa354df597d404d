import { alternating, figureOf, ratioOf, spreadOf } from './rounds.js';
import { startGateway } from './servers.js';
import { startSteadySender } from './steady-latency.js';

/**
 * Added latency at a steady rate: from sending a webhook to its request at the bot, compared with requests sent to the
 * bot directly.
 */
const LOAD = { perSecond: 500, seconds: 8 };
const ROUNDS = 5;

const sender = await startSteadySender();
const gateway = await startGateway();
await gateway.call('POST', '/v1/targets', { name: 'bot', url: sender.botUrl });
const urls = { direct: sender.botUrl, through: gateway.url };
await sender.measure(gateway.url, LOAD); // Warms both up.
const rounds = await alternating(['direct', 'through'], ROUNDS, (way) => sender.measure(urls[way], LOAD));
await gateway.stop();
await sender.stop();

const ms = (part) => ({ direct: figureOf(rounds, 'direct', part, 2), through: figureOf(rounds, 'through', part, 2) });
const added = (part) =>
  spreadOf(
    rounds.map(({ direct, through }) => through[part] - direct[part]),
    2,
  );
console.log(
  JSON.stringify({
    bench: 'added latency from webhook in to bot request out',
    baseline: 'the same requests sent to the bot directly',
    per_second: LOAD.perSecond,
    added_p50_ms: added('p50'),
    added_p99_ms: added('p99'),
    p50_ms: ms('p50'),
    p99_ms: ms('p99'),
    ratio_p50: ratioOf(rounds, 'p50', 'through', 'direct', 2),
    rounds: ROUNDS,
    seconds_per_round: LOAD.seconds,
  }),
);
