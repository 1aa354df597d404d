import { createHmac, randomBytes } from 'node:crypto';
import Fastify from 'fastify';
import { Agent, request } from 'undici';

/**
 * The cost of a webhook that is only passed on: parsed, signed and sent to the bot at BOT_URL over at most CONNECTIONS
 * connections, and answered after the bot's answer. Nothing is stored, so a crash loses it: the baseline for the gateway.
 */
const { BOT_URL, CONNECTIONS } = process.env;
const key = randomBytes(32);
const dispatcher = new Agent({ connections: Number(CONNECTIONS) });
let sequence = 0;

const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/webhooks/main', async ({ body }) => {
  const { messages } = JSON.parse(body);
  sequence += 1;
  const id = `relayed_${sequence}`;
  const seconds = Math.floor(Date.now() / 1000);
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest('base64');
  const answer = await request(BOT_URL, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      'webhook-signature': `v1,${signature}`,
    },
    body,
    dispatcher,
  });
  await answer.body.dump();
  if (answer.statusCode !== 200) throw new Error(`The bot answered ${answer.statusCode}.`);
  return { items: messages.length };
});
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(JSON.stringify({ url: `http://127.0.0.1:${app.server.address().port}` }));
process.on('SIGTERM', () => process.exit(0));
