import { createServer } from 'node:http';
import { once } from 'node:events';
import { Agent, request } from 'undici';
import { nextMessage, percentile } from './load.js';
import { startGateway, WEBHOOK_SECRET } from './servers.js';

/**
 * Added latency at a steady rate: from sending a webhook to its request at the bot, compared with requests sent to the
 * bot directly. Sender and bot are one process, so one clock measures both ends.
 */
const RATE_PER_SECOND = 500;
const SECONDS = 8;
const ROUNDS = 3;
const ID = /"id":"([^"]+)"/;

const sentAt = new Map();
const latencies = [];
const bot = createServer(async (incoming, response) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const id = ID.exec(Buffer.concat(chunks).toString())[1];
  latencies.push(performance.now() - sentAt.get(id));
  sentAt.delete(id);
  response.end();
});
bot.listen(0, '127.0.0.1');
await once(bot, 'listening');
const botUrl = `http://127.0.0.1:${bot.address().port}`;
const gateway = await startGateway();
await gateway.call('POST', '/v1/targets', { name: 'bot', url: botUrl });
const agent = new Agent({ connections: 64 });

async function sendOne(url) {
  const body = nextMessage();
  sentAt.set(ID.exec(body)[1], performance.now());
  const answer = await request(`${url}/webhooks/main`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${WEBHOOK_SECRET}` },
    body,
    dispatcher: agent,
  });
  await answer.body.dump();
}

/** Sends at the steady rate whatever the answers are, waits until the bot has everything, and returns the latencies. */
async function measure(url) {
  latencies.length = 0;
  const total = RATE_PER_SECOND * SECONDS;
  const startedAt = performance.now();
  const answers = [];
  while (answers.length < total) {
    const due = Math.min(total, Math.ceil(((performance.now() - startedAt) / 1000) * RATE_PER_SECOND));
    while (answers.length < due) answers.push(sendOne(url));
    await new Promise((next) => setTimeout(next, 1));
  }
  await Promise.all(answers);
  while (latencies.length < total) await new Promise((next) => setTimeout(next, 5));
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
}

await measure(gateway.url); // Warms both up.
const rounds = [];
for (let round = 0; round < ROUNDS; round += 1) {
  rounds.push({ direct: await measure(botUrl), through: await measure(gateway.url) });
}
await gateway.stop();
await agent.close();
bot.closeAllConnections();
bot.close();

const of = (way, part) =>
  percentile(
    rounds.map((round) => round[way][part]),
    0.5,
  );
console.log(
  JSON.stringify({
    bench: 'added latency from webhook in to bot request out',
    baseline: 'the same requests sent to the bot directly',
    per_second: RATE_PER_SECOND,
    direct_p50_ms: rounded(of('direct', 'p50')),
    direct_p99_ms: rounded(of('direct', 'p99')),
    through_p50_ms: rounded(of('through', 'p50')),
    through_p99_ms: rounded(of('through', 'p99')),
    added_p50_ms: rounded(of('through', 'p50') - of('direct', 'p50')),
    added_p99_ms: rounded(of('through', 'p99') - of('direct', 'p99')),
    ratio_p50: rounded(of('through', 'p50') / of('direct', 'p50')),
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);

function rounded(number) {
  return Number(number.toFixed(2));
}
