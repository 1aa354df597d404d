import { connect } from 'node:net';
import { onTestFinished } from 'vitest';
import { until } from './intervals.js';
import { WEBHOOK_SECRET } from './client.js';

/** A bare connection to a gateway, for requests that no HTTP client would send. */
export interface RawConnection {
  write(bytes: string | Buffer): void;
  /** Resolves with the statuses of all answers once this many have arrived. */
  answers(count: number): Promise<number[]>;
  /** Resolves with everything received once the other side has closed it. */
  closed(): Promise<string>;
}

export function rawConnection(url: string): RawConnection {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  onTestFinished(() => void socket.destroy());
  const statuses = (): number[] => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return {
    write: (bytes) => void socket.write(bytes),
    answers: async (count) => {
      await until(() => {
        if (statuses().length < count) throw new Error(`${statuses().length} answers: ${text.slice(0, 200)}`);
      });
      return statuses();
    },
    closed: async () => {
      await until(() => {
        if (!isClosed) throw new Error('It is open.');
      });
      return text;
    },
  };
}

/** The header block of a webhook as text. */
export function headOf(headers: readonly string[], path = '/webhooks/main', method = 'POST'): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'host: gateway', `authorization: Bearer ${WEBHOOK_SECRET}`, ...headers];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** A whole webhook as text. */
export function requestText(body: string, headers: readonly string[] = [], path?: string): string {
  return headOf([...headers, `content-length: ${Buffer.byteLength(body)}`], path) + body;
}
