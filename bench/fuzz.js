import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chanceOf } from './fuzz/chance.js';
import { requestOf } from './fuzz/requests.js';
import { Wire } from './fuzz/wire.js';
import { startCounter, startGateway, WEBHOOK_SECRET } from './servers.js';

/**
 * `npm run fuzz -- [count] [seed]` sends the given number of fuzzed requests to a running gateway. It must answer none
 * with 5xx, leave none hanging, survive, and need little more memory at the end than in its first half. Prints one JSON
 * line, with exit code 1 if a condition fails. The same seed gives the same requests.
 */
const [count = 100_000, seed = Math.floor(Math.random() * 2 ** 31)] = process.argv.slice(2).map(Number);
const CONNECTIONS = 16;
const SHOWN_FAULTS = 5;
const KIB_PER_MIB = 1024;
/** The memory that the second half of a run may add to the peak of the first half. */
const MOST_GROWTH_MIB = 64;

const gateway = await startGateway({ API_RATE_PER_MINUTE: '0' });
const bot = await startCounter();
await gateway.call('POST', '/v1/targets', { name: 'bot', url: bot.url });
const adminToken = readFileSync(join(gateway.folder, 'admin-token'), 'utf8').trim();

const statuses = {};
const faults = [];
let next = 0;
const rssByTenth = [];

function rssMib() {
  return Math.round(
    Number(execFileSync('ps', ['-o', 'rss=', '-p', String(gateway.pid)], { encoding: 'utf8' })) / KIB_PER_MIB,
  );
}

async function work() {
  const wire = new Wire(gateway.url);
  for (let number = next++; number < count; number = next++) {
    const request = requestOf(chanceOf(seed, number), adminToken);
    const status = await wire.send(request);
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status >= 500 || status === 'hung')
      faults.push({ number, status, head: request.bytes.toString('latin1', 0, 300) });
    if ((number + 1) % Math.floor(count / 10) === 0) rssByTenth.push(rssMib());
  }
  wire.close();
}

/** An ordinary webhook is accepted as before. */
async function takesWebhook() {
  const headers = { authorization: `Bearer ${WEBHOOK_SECRET}` };
  const body = JSON.stringify({ messages: [{ id: `after-${seed}`, type: 'text', chat_id: 'c', timestamp: 1 }] });
  return (await fetch(`${gateway.url}/webhooks/main`, { method: 'POST', headers, body })).status === 200;
}

try {
  const begun = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  const seconds = Math.round((performance.now() - begun) / 1000);
  const isAlive = await takesWebhook().catch(() => false);
  const rss = isAlive ? rssMib() : 0;
  const mostRss = Math.max(...rssByTenth.slice(0, 5)) + MOST_GROWTH_MIB;
  console.log(
    JSON.stringify({
      fuzz: 'bodies, heads and raw bytes',
      requests: count,
      seed,
      statuses,
      alive: isAlive,
      rss_mib_by_tenth: rssByTenth,
      rss_mib_end: rss,
      seconds,
      faults: faults.slice(0, SHOWN_FAULTS),
    }),
  );
  process.exitCode = faults.length === 0 && isAlive && rss <= mostRss ? 0 : 1;
} finally {
  await gateway.stop('SIGKILL');
  await bot.stop();
}
process.exit();
