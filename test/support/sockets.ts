import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface SocketServer {
  readonly port: number;
  /** Every connection that was ever made to it. */
  readonly sockets: readonly Socket[];
}

/** A server of bare sockets, for peers that HTTP has no words for. Closed after the test. */
export async function startSocketServer(onSocket: (socket: Socket) => void): Promise<SocketServer> {
  return await listening(createServer(onSocket));
}

/** Has a server of any kind listen on a free port, and writes its connections down. Closed after the test. */
export async function listening(server: Server): Promise<SocketServer> {
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined); // a reset is what some tests want
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}
