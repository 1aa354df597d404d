import Fastify from 'fastify';

/** What a webhook costs when nothing is done with it: the route that the gateway is measured against. */
const app = Fastify();
app.post('/webhooks/main', async (request) => ({ items: request.body.messages.length, verdicts: { new: 1 } }));
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(JSON.stringify({ url: `http://127.0.0.1:${app.server.address().port}` }));
process.on('SIGTERM', () => process.exit(0));
