import { createServer } from 'node:http';

/**
 * A bot that only answers, as fast as node:http allows. `GET /count` returns the number of its requests, and when it answered
 * the last one, in Unix ms.
 */
let count = 0;
let lastAt = null;
const server = createServer((request, response) => {
  if (request.url === '/count') {
    response.end(JSON.stringify({ count, lastAt }));
    return;
  }
  request.resume();
  request.on('end', () => {
    count += 1;
    lastAt = Date.now();
    response.end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
process.on('SIGTERM', () => process.exit(0));
