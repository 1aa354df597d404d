import Fastify from 'fastify';

/** The cost of a webhook that is not processed: the baseline for the gateway. */
const app = Fastify();
app.post('/webhooks/main', async (request) => ({ items: request.body.messages.length, verdicts: { new: 1 } }));
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(JSON.stringify({ url: `http://127.0.0.1:${app.server.address().port}` }));
process.on('SIGTERM', () => process.exit(0));
