import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectOptions } from '../../src/outgoing.js';
import { startBot } from '../support/bot.js';
import { deliveryOf, startDelivery } from '../support/delivery.js';
import type { DeliveryStage } from '../support/delivery.js';
import { startFarServer } from '../support/far.js';
import { until } from '../support/intervals.js';
import { outgoing, resolverOf, startSender } from '../support/sender.js';
import { startSocketServer } from '../support/sockets.js';
import type { SocketServer } from '../support/sockets.js';
import { textWebhook } from '../support/texts.js';

type Step = (socket: Socket) => void;

const ok: Step = (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
const reset: Step = (socket) => socket.resetAndDestroy();
const close: Step = (socket) => socket.end();

interface Script extends SocketServer {
  /** For each request, the number of the connection that carried it. */
  readonly cameOver: readonly number[];
}

/** A server on bare sockets that runs one step per request. */
async function startScript(...steps: Step[]): Promise<Script> {
  const cameOver: number[] = [];
  const server = await startSocketServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (!chunk.toString('latin1').startsWith('POST ')) return;
      cameOver.push(server.sockets.indexOf(socket));
      steps.shift()?.(socket);
    });
  });
  return { ...server, cameOver };
}

/** Sends messages one after the other. Returns the statuses of each message's attempts. */
async function statusesOf({ gateway }: DeliveryStage, ...ids: string[]): Promise<(number | null)[][]> {
  const statuses: (number | null)[][] = [];
  for (const id of ids) {
    await gateway.webhook(textWebhook({ id, chat: 'one' }));
    await gateway.settled();
    statuses.push((await deliveryOf(gateway, id)).log.map(({ status }) => status));
  }
  return statuses;
}

async function stageWith(...steps: Step[]): Promise<{ stage: DeliveryStage; server: Script }> {
  const server = await startScript(...steps);
  const stage = await startDelivery({ url: `http://127.0.0.1:${server.port}/`, timeout_ms: 5000 });
  return { stage, server };
}

describe('a kept-alive connection', () => {
  it.each([
    ['reset', reset],
    ['closed', close],
  ])(
    'that is %s when the next request is sent costs no attempt: the request is repeated on a fresh one',
    async (_how, end) => {
      const { stage, server } = await stageWith(ok, end, ok);
      expect(await statusesOf(stage, 'm-1', 'm-2')).toEqual([[200], [200]]);
      expect(server.cameOver).toEqual([0, 0, 1]);
    },
  );

  it('is the only kind with a repeated request: a reset of the fresh one is a failed attempt', async () => {
    const { stage, server } = await stageWith(ok, reset, reset, ok);
    expect(await statusesOf(stage, 'm-1', 'm-2')).toEqual([[200], [null, 200]]);
    expect(server.cameOver).toEqual([0, 0, 1, 2]);
  });

  it('that was not used before makes a reset a failed attempt', async () => {
    const { stage, server } = await stageWith(reset, ok);
    expect(await statusesOf(stage, 'm-1')).toEqual([[null, 200]]);
    expect(server.cameOver).toEqual([0, 1]);
  });

  it.each(['H', 'HTTP/1.1 20', 'HTTP/1.1 200 OK\r\nx-a', 'HTTP/1.1 102 Processing\r\n\r\n'])(
    'that is reset after %j makes a failed attempt, because the bot may have started',
    async (begun) => {
      const { stage, server } = await stageWith(ok, (socket) => socket.write(begun, () => socket.end()), ok);
      expect(await statusesOf(stage, 'm-1', 'm-2')).toEqual([[200], [null, 200]]);
      expect(server.cameOver).toEqual([0, 0, 1]);
    },
  );
});

/** A bot at 127.0.0.2, on the port of another one. */
async function startNeighbour(port: number): Promise<void> {
  const server = createServer((_request, response) => response.end());
  await new Promise<void>((ready) => server.listen(port, '127.0.0.2', ready));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
}

describe('a host name with several addresses', () => {
  it('is reached when the handshake takes longer than 250 ms and the other address refuses', async () => {
    const far = await startFarServer();
    const resolver = resolverOf('127.0.0.1', '127.0.0.2');
    const sender = startSender('private', resolver.lookup);
    const sent = sender.send(outgoing(`http://far.example:${far.port}/`, { timeoutMs: 20_000 }));
    await until(() => expect(resolver.names).toHaveLength(1));
    await new Promise(setImmediate); // By then its first packet was sent and dropped.
    far.arrive();
    const { attempt } = await sent;
    expect(attempt).toMatchObject({ status: 200, error: null });
    expect(attempt.durationMs).toBeGreaterThan(500);
  });

  it("is reached at the second address when the first does not answer, within the attempt's timeout", async () => {
    const far = await startFarServer();
    await startNeighbour(far.port);
    const sender = startSender('private', resolverOf('127.0.0.1', '127.0.0.2').lookup);
    const { attempt } = await sender.send(outgoing(`http://half.example:${far.port}/`, { timeoutMs: 2000 }));
    expect(attempt).toMatchObject({ status: 200, error: null });
  });

  it('with no reachable address gives an error that names the failure of each', async () => {
    const { port } = await startSocketServer(() => undefined);
    const sender = startSender('private', resolverOf('127.0.0.2', '127.0.0.3').lookup);
    const { attempt } = await sender.send(outgoing(`http://nowhere.example:${port}/`));
    expect(attempt.error).toBe(
      `127.0.0.2:${port} refused the connection (ECONNREFUSED); 127.0.0.3:${port} refused the connection (ECONNREFUSED): ` +
        'check that the server is running and listens on this port.',
    );
  });
});

describe('a DNS lookup that does not answer', () => {
  it('ends the attempt at its timeout, and the request is not sent if it answers after all', async () => {
    const bot = await startBot();
    const held: (() => void)[] = [];
    const { lookup } = resolverOf('127.0.0.1');
    const sender = startSender('private', (hostname, options, callback) => {
      held.push(() => lookup(hostname, options, callback));
    });
    const url = `http://slow.example:${new URL(bot.url).port}/`;
    const late = await sender.send(outgoing(url, { timeoutMs: 200 }));
    expect(late.attempt).toMatchObject({ status: null, error: 'No answer within 200 ms.' });
    expect(late.attempt.durationMs).toBeLessThan(connectOptions().timeout);
    const next = sender.send(outgoing(url));
    await until(() => expect(held).toHaveLength(2));
    for (const answer of held) answer();
    expect((await next).attempt).toMatchObject({ status: 200, error: null });
    expect(bot.requests).toHaveLength(1);
  });
});

describe('the connect timeout for one address', () => {
  it.each([
    [Infinity, 4000],
    [120_000, 4000],
    [10_000, 4000],
    [9999, 2000],
    [5000, 2000],
    [2000, 500],
    [100, 250],
  ])('of a call of %i ms is %i ms, so that the next address is tried within the call', (callMs, expected) => {
    expect(connectOptions(callMs).autoSelectFamilyAttemptTimeout).toBe(expected);
  });

  it('allows two addresses within the connect timeout', () => {
    const { timeout, autoSelectFamilyAttemptTimeout } = connectOptions();
    expect(2 * autoSelectFamilyAttemptTimeout).toBeLessThan(timeout);
  });
});
