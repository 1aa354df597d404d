import { createServer, request as send } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A reverse proxy on 127.0.0.1 in front of a gateway. */
export interface ReverseProxy {
  readonly url: string;
}

/**
 * Starts a reverse proxy that appends to `X-Forwarded-For`, as nginx and others do. The header `x-client` of a request
 * names the client that the proxy pretends to have been called by.
 */
export async function startReverseProxy(to: string): Promise<ReverseProxy> {
  const { port, hostname } = new URL(to);
  const server = createServer((came, response) => {
    const { 'x-client': client, ...headers } = came.headers;
    const chain = [came.headers['x-forwarded-for'], client ?? came.socket.remoteAddress].flat().filter((part) => part);
    const options = { hostname, port, method: came.method, path: came.url };
    const out = send({ ...options, headers: { ...headers, 'x-forwarded-for': chain.join(', ') } });
    out.on('response', (answer: IncomingMessage) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    out.on('error', () => response.destroy());
    came.pipe(out);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
