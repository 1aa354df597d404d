import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { listening } from '../sockets.js';

/** A proxy in front of PostgreSQL that cuts connections at random. */
export interface CuttingProxy {
  /** The URL of the server through this proxy. */
  readonly url: string;
  /** How many connections it has cut so far. */
  readonly cuts: number;
  /** From now on it cuts. Until then it only forwards. */
  startCutting(): void;
}

/** One in this many commits loses its connection, half of them before and half of them after it reaches the server. */
const COMMIT_CUT_ONE_IN = 300;
/** One in this many other packets does. */
const CUT_ONE_IN = 3000;

/** Starts a proxy to the server of a URL. It is closed after the test. */
export async function startCuttingProxy(url: string): Promise<CuttingProxy> {
  const through = new URL(url);
  const port = Number(through.port);
  let cuts = 0;
  let isCutting = false;
  const isHit = (oneIn: number): boolean => isCutting && Math.random() < 1 / oneIn;

  const forward = (client: Socket, server: Socket, sent: Buffer): void => {
    const isCommit = sent.includes('COMMIT');
    if (!isHit(isCommit ? COMMIT_CUT_ONE_IN : CUT_ONE_IN)) {
      server.write(sent);
      return;
    }
    cuts += 1;
    // The server commits, and its answer is lost.
    if (isCommit && isHit(2)) server.end(sent);
    else server.destroy();
    client.destroy();
  };

  const proxy = await listening(
    createServer((client) => {
      const server = connect({ port, host: '127.0.0.1', noDelay: true });
      client.setNoDelay();
      client.on('data', (sent) => forward(client, server, sent));
      server.on('data', (answer) => {
        if (!client.destroyed) client.write(answer);
      });
      client.on('close', () => server.destroySoon());
      server.on('error', () => client.destroy());
      server.on('close', () => client.destroy());
    }),
  );
  through.port = String(proxy.port);
  return {
    url: through.href,
    get cuts() {
      return cuts;
    },
    startCutting: () => {
      isCutting = true;
    },
  };
}
