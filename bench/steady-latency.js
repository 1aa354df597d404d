import { once } from 'node:events';
import { createServer } from 'node:http';
import { Agent, request } from 'undici';
import { nextMessage, percentile } from './load.js';
import { WEBHOOK_SECRET } from './servers.js';

const PATIENCE_MS = 120_000;
const ID = /"id":"([^"]+)"/;

/**
 * Sender and bot in one process, so that one clock measures both ends. `measure` sends messages to a gateway, or to the bot
 * itself, at a steady rate whatever the answers are, waits until the bot has everything, and resolves with the time from
 * sending a webhook to its request at the bot, in ms.
 */
export async function startSteadySender() {
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
  const agent = new Agent({ connections: 64 });

  const sendOne = async (url) => {
    const body = nextMessage();
    sentAt.set(ID.exec(body)[1], performance.now());
    const answer = await request(`${url}/webhooks/main`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${WEBHOOK_SECRET}` },
      body,
      dispatcher: agent,
    });
    await answer.body.dump();
  };

  return {
    botUrl: `http://127.0.0.1:${bot.address().port}`,
    measure: async (url, { perSecond, seconds }) => {
      latencies.length = 0;
      const total = perSecond * seconds;
      const startedAt = performance.now();
      const answers = [];
      while (answers.length < total) {
        const due = Math.min(total, Math.ceil(((performance.now() - startedAt) / 1000) * perSecond));
        while (answers.length < due) answers.push(sendOne(url));
        await new Promise((next) => setTimeout(next, 1));
      }
      await Promise.all(answers);
      const deadline = performance.now() + PATIENCE_MS;
      while (latencies.length < total) {
        if (performance.now() > deadline) throw new Error(`The bot has seen ${latencies.length} of ${total} requests.`);
        await new Promise((next) => setTimeout(next, 5));
      }
      return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
    },
    stop: async () => {
      await agent.close();
      bot.closeAllConnections();
      bot.close();
    },
  };
}
