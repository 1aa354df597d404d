import { connect, createServer } from 'node:net';

/** `delay-proxy.js <host> <port> <ms>`: passes bytes on after a delay, in both directions. Prints its own port. */
const [host, port, delay] = process.argv.slice(2);
const server = createServer((down) => {
  const up = connect(Number(port), host);
  for (const socket of [down, up]) socket.setNoDelay(true);
  const pass = (from, to) => {
    from.on('data', (bytes) => setTimeout(() => to.write(bytes), Number(delay)));
    from.on('close', () => setTimeout(() => to.destroy(), Number(delay)));
    from.on('error', () => undefined);
  };
  pass(down, up);
  pass(up, down);
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
