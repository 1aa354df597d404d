import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface SocketServer {
  readonly port: number;
  /** Every connection ever made to it. */
  readonly sockets: readonly Socket[];
}

/** A server on bare sockets, for behaviour that HTTP servers do not offer. It is closed after the test. */
export async function startSocketServer(onSocket: (socket: Socket) => void): Promise<SocketServer> {
  return await listening(createServer(onSocket));
}

/** A port that is free now, for a program that cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Makes any server listen on a free port and records its connections. It is closed after the test. */
export async function listening(server: Server): Promise<SocketServer> {
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined); // Some tests want a reset.
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}
