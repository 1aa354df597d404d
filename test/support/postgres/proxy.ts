import { createConnection } from 'node:net';
import { startSocketServer } from '../sockets.js';

/** A network between a gateway and PostgreSQL that tests disturb. */
export interface Proxy {
  /** The URL of the server through this proxy. */
  readonly url: string;
  /**
   * Drops each connection whose statement with this text is answered by it, such as COMMIT. The server has done it, and its
   * answer is lost.
   * @param most after so many cuts it is mended
   */
  cutAt(text: string, most?: number): void;
  /** From now on answers say `to`, a text of the same length, where the server says `from`. */
  rewrite(from: string, to: string): void;
  /** From now on the open connections carry nothing, and stay open. New ones work. */
  fallSilent(): void;
  /** Everything works again, over new connections. */
  mend(): void;
  /** How often it has cut a connection. */
  readonly cuts: number;
}

/** Starts a proxy to the server of a URL. It is closed after the test. */
export async function proxyTo(url: string): Promise<Proxy> {
  const { hostname, port } = new URL(url);
  let cut: string | null = null;
  let cuts = 0;
  let left = 0;
  let rewritten = (answer: Buffer): Buffer => answer;
  const silenced: { value: boolean }[] = [];
  const { port: ownPort } = await startSocketServer((client) => {
    const upstream = createConnection(Number(port), hostname);
    const isSilent = { value: false };
    silenced.push(isSilent);
    let isCut = false;
    client.on('data', (data) => {
      if (isSilent.value) return;
      upstream.write(data);
      if (cut !== null && data.includes(cut)) isCut = true;
    });
    upstream.on('data', (data) => {
      if (isSilent.value) return;
      // Answers to statements that were sent before it may come first.
      if (!isCut || cut === null || !data.includes(cut)) {
        client.write(rewritten(data));
        return;
      }
      cuts += 1; // the server has answered, so it has done it
      if ((left -= 1) === 0) cut = null;
      client.destroy();
      upstream.destroy();
    });
    upstream.on('error', () => undefined);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  const through = new URL(url);
  through.port = String(ownPort);
  return {
    url: through.href,
    cutAt: (text, most = Infinity) => {
      cut = text;
      left = most;
    },
    rewrite: (from, to) =>
      (rewritten = (answer) => Buffer.from(answer.toString('latin1').replaceAll(from, to), 'latin1')),
    fallSilent: () => {
      for (const each of silenced) each.value = true;
    },
    mend: () => (cut = null),
    get cuts() {
      return cuts;
    },
  };
}
