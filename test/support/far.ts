import { once } from 'node:events';
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';

export interface FarServer {
  readonly port: number;
  /** It accepts connections from now on. A waiting one is made at the kernel's next try, a second after its first. */
  arrive(): void;
}

const BACKLOG = 1;
const CODE = `
const { parentPort, workerData } = require('node:worker_threads');
const server = require('node:http').createServer((request, response) => request.resume().on('end', () => response.end('{"id":"m","type":"text"}')));
server.listen({ port: 0, host: '127.0.0.1', backlog: ${BACKLOG} }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(workerData, 0, 0);
});`;

/**
 * A server at 127.0.0.1 whose handshake takes longer than a second, or never ends: its backlog is full and it accepts
 * nothing, so the kernel drops new packets. Then it answers 200. It is closed after the test.
 */
export async function startFarServer(): Promise<FarServer> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(CODE, { eval: true, workerData: gate });
  const arrive = (): void => {
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
  };
  const [port] = (await once(worker, 'message')) as [number];
  const waiting = Array.from({ length: BACKLOG + 1 }, () => connect(port, '127.0.0.1'));
  await Promise.all(waiting.map(async (socket): Promise<unknown> => await once(socket, 'connect')));
  onTestFinished(async () => {
    for (const socket of waiting) socket.destroy();
    arrive();
    await worker.terminate();
  });
  return { port, arrive };
}
