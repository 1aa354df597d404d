import { createServer } from 'node:http';

/** Plays Whapi for the proxy bench: answers each request with a message, as fast as node:http allows. */
const MESSAGE = JSON.stringify({
  id: 'p.w30M7fgwWD4XwHu.1-gNcCzMdVPg',
  from_me: false,
  type: 'text',
  chat_id: '12025550000@s.whatsapp.net',
  timestamp: 1762000000,
  text: { body: 'Hello, is the blue one still available in size 42? I would come by tomorrow.' },
});
const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(MESSAGE));
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
process.on('SIGTERM', () => process.exit(0));
