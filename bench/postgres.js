import { randomBytes } from 'node:crypto';
import { load, median } from './load.js';
import { claimRatio } from './postgres-claims.js';
import { startDelay, startPostgres } from './postgres-server.js';
import { alternating, figureOf, ratioOf } from './rounds.js';
import { startCounter, startGateway } from './servers.js';
import { usageOf } from './usage.js';

/**
 * The gateway on PostgreSQL, as a ratio to the same gateway on SQLite in the same run: accepting webhooks, accepting and
 * delivering them with 1, 2 and 3 replicas on one database and with a network in between, and claims with a million pending
 * deliveries. Everything shares the cores of this machine, PostgreSQL included.
 */
const ROUNDS = 5;
const SECONDS = 4;
const CONNECTIONS = 100;
const CONCURRENCY = 16;
const DELAY_MS = 1;
const PATIENCE_MS = 120_000;

const server = await startPostgres();
const bot = await startCounter();
const keys = { ADMIN_TOKEN: randomBytes(24).toString('base64url'), ENCRYPTION_KEY: randomBytes(32).toString('base64') };
const sides = {};
const delays = [];

/** One or more gateways that share a store. */
async function side(name, envs) {
  const gateways = [];
  for (const env of envs) gateways.push(await startGateway(env)); // one after the other: the first one makes the schema
  sides[name] = { gateways };
}

async function onPostgres(name, replicas, delayMs = 0) {
  const database = await server.createDatabase(name);
  const delay = delayMs > 0 ? await startDelay(database, delayMs) : null;
  if (delay) delays.push(delay);
  const env = { ...keys, DATABASE_URL: delay?.url ?? database };
  await side(name, Array(replicas).fill(env));
}

/** Webhooks as fast as they are answered, spread over the replicas. */
async function accepted({ gateways }) {
  const connections = Math.ceil(CONNECTIONS / gateways.length);
  const loads = await Promise.all(gateways.map(({ url }) => load(url, { seconds: SECONDS, connections })));
  return {
    total: loads.reduce((sum, { total }) => sum + total, 0),
    rate: loads.reduce((sum, { rate }) => sum + rate, 0),
    p50: median(loads.map(({ p50 }) => p50)),
    p99: Math.max(...loads.map(({ p99 }) => p99)),
  };
}

async function usage({ gateways }) {
  const own = gateways.map(({ pid }) => usageOf(pid).cpuUs).reduce((sum, us) => sum + us, 0);
  return { ...(await server.usage()), own };
}

async function measured(name, work) {
  const before = await usage(sides[name]);
  const result = await work(sides[name]);
  const after = await usage(sides[name]);
  return {
    ...result,
    cpuUs: (after.own - before.own) / result.total,
    postgresCpuUs: (after.cpuUs - before.cpuUs) / result.total,
    walBytes: (after.walBytes - before.walBytes) / result.total,
  };
}

/** The same with a bot behind them, from the first webhook sent to the bot's last answer. */
async function delivered(each) {
  const { count: before } = await bot.seen();
  const startedAt = Date.now();
  const { total, p99 } = await accepted(each);
  const deadline = Date.now() + PATIENCE_MS;
  for (let last = await bot.seen(); Date.now() < deadline;) {
    await new Promise((next) => setTimeout(next, 100));
    const seen = await bot.seen();
    if (seen.count - before >= total && seen.count === last.count)
      return { total: seen.count - before, rate: (seen.count - before) / ((seen.lastAt - startedAt) / 1000), p99 };
    last = seen;
  }
  throw new Error(`The bot has not seen ${total} webhooks after ${PATIENCE_MS / 1000} s.`);
}

await side('sqlite', [{}]);
await onPostgres('replicas1', 1);
await onPostgres('replicas2', 2);
await onPostgres('replicas3', 3);
await onPostgres('delayed', 1, DELAY_MS);
const names = Object.keys(sides);
for (const name of names) await accepted(sides[name]); // warms up
const accepts = await alternating(names, ROUNDS, (name) => measured(name, accepted));
for (const { gateways } of Object.values(sides))
  await gateways[0].call('POST', '/v1/targets', { name: 'bot', url: bot.url, concurrency: CONCURRENCY });
for (const name of names) await delivered(sides[name]);
const delivers = await alternating(names, ROUNDS, (name) => measured(name, delivered));
for (const { gateways } of Object.values(sides)) for (const gateway of gateways) await gateway.stop();
const claims = await claimRatio(server);
for (const delay of delays) delay.stop();
await server.stop();
await bot.stop();

const postgres = names.filter((name) => name !== 'sqlite');
const of = (rounds, part, digits) =>
  Object.fromEntries(names.map((name) => [name, figureOf(rounds, name, part, digits)]));
const ratios = (rounds) => Object.fromEntries(postgres.map((name) => [name, ratioOf(rounds, 'rate', name, 'sqlite')]));
const ofPostgres = (rounds, part) => Object.fromEntries(postgres.map((name) => [name, figureOf(rounds, name, part)]));
console.log(
  JSON.stringify({
    bench: 'PostgreSQL with 1, 2 and 3 replicas, and with a network of 1 ms each way (delayed)',
    baseline: 'the same gateway on SQLite; claims: a thousand pending deliveries',
    accept_ratio: ratios(accepts),
    accepts_per_second: of(accepts, 'rate'),
    accept_p50_ms: of(accepts, 'p50'),
    accept_p99_ms: of(accepts, 'p99'),
    accept_cpu_us: { gateways: of(accepts, 'cpuUs'), postgres: ofPostgres(accepts, 'postgresCpuUs') },
    accept_wal_bytes: ofPostgres(accepts, 'walBytes'),
    deliver_ratio: ratios(delivers),
    delivered_per_second: of(delivers, 'rate'),
    deliver_cpu_us: { gateways: of(delivers, 'cpuUs'), postgres: ofPostgres(delivers, 'postgresCpuUs') },
    deliver_wal_bytes: ofPostgres(delivers, 'walBytes'),
    ...claims,
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);
