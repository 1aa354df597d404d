import type { ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { answerLater } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { deliveriesOf, deliveryOf, idsSentTo, startDelivery } from '../support/delivery.js';
import type { DeliveryJson, DeliveryStage } from '../support/delivery.js';
import { until } from '../support/intervals.js';
import { startProcess } from '../support/process.js';
import { listening, startSocketServer } from '../support/sockets.js';
import { textWebhook } from '../support/texts.js';
import { SELF_SIGNED } from '../support/tls.js';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const TIMED_OUT = { status: null, error: 'No answer within 200 ms.' };

/** Sends one message to a target and waits until nothing is pending. */
async function settledDelivery({ gateway }: DeliveryStage, id = 'm-1'): Promise<DeliveryJson> {
  await gateway.webhook(textWebhook({ id, chat: 'one' }));
  await gateway.settled();
  return await deliveryOf(gateway, id);
}

describe('a half-open connection', () => {
  it("that is accepted and never answered is closed at the attempt's timeout", async () => {
    const server = await startSocketServer((socket) => void socket.resume());
    const stage = await startDelivery({ url: `http://127.0.0.1:${server.port}/`, timeout_ms: 200, max_attempts: 2 });
    const { status, log } = await settledDelivery(stage);
    expect(status).toBe('dead');
    expect(log).toMatchObject([TIMED_OUT, TIMED_OUT]);
    await until(() => expect(server.sockets.filter((socket) => !socket.closed)).toEqual([]));
  });

  it('whose peer vanished after an earlier answer is dropped, and the next attempt uses a new one', async () => {
    const answering: Socket[] = [];
    const server = await startSocketServer((socket) => {
      socket.on('data', () => {
        if (socket === answering[0]) return; // It answered once and is gone from here on.
        answering.push(socket);
        socket.write(OK);
      });
    });
    const stage = await startDelivery({ url: `http://127.0.0.1:${server.port}/`, timeout_ms: 200 });
    expect((await settledDelivery(stage, 'm-1')).log).toMatchObject([{ status: 200 }]);
    expect((await settledDelivery(stage, 'm-2')).log).toMatchObject([TIMED_OUT, { status: 200 }]);
    expect(answering).toHaveLength(2);
  });
});

describe('a connection reset', () => {
  it('during the answer to a failed attempt keeps the status and the text so far', async () => {
    const stage = await startDelivery();
    stage.bot.answers.push((_request, response) => {
      response
        .writeHead(500, { 'content-length': '100' })
        .write('half of it', () => response.socket?.resetAndDestroy());
    });
    expect((await settledDelivery(stage)).log).toMatchObject([
      { status: 500, error: 'The target answered 500.', response: expect.stringMatching(/^(half of it)?$/) as unknown },
      { status: 200, response: null },
    ]);
  });

  it('during the answer to a successful attempt leaves it successful, because the bot has the message', async () => {
    const stage = await startDelivery();
    stage.bot.answers.push((_request, response) => {
      response
        .writeHead(200, { 'content-length': '100' })
        .write('half of it', () => response.socket?.resetAndDestroy());
    });
    expect(await settledDelivery(stage)).toMatchObject({ status: 'delivered', attempts: 1 });
    expect(stage.bot.requests).toHaveLength(1);
  });
});

describe('a slow target', () => {
  it('that answers after the timeout has failed, and the attempt is repeated', async () => {
    const late = answerLater();
    const stage = await startDelivery({ timeout_ms: 200 });
    stage.bot.answers.push(late.answer);
    const { log } = await settledDelivery(stage);
    late.give(200);
    expect(log).toMatchObject([TIMED_OUT, { status: 200 }]);
    expect(log[0]?.duration_ms).toBeLessThan(5000);
  });

  it('that occupies all its connections does not slow another', async () => {
    const slow = answerLater();
    const { gateway, bot } = await startDelivery({ concurrency: 4 });
    const quick = await startBot();
    await gateway.addTarget({ url: quick.url });
    bot.otherwise = slow.answer;
    const ids = Array.from({ length: 20 }, (_, number) => `m-${number}`);
    for (const id of ids) await gateway.webhook(textWebhook(id));
    await quick.received(20);
    expect(bot.requests).toHaveLength(4);
    expect(idsSentTo(quick).sort()).toEqual([...ids].sort());
    bot.otherwise = 200;
    slow.give(200);
    await gateway.settled();
    expect((await deliveriesOf(gateway, 'm-0')).map(({ status }) => status)).toEqual(['delivered', 'delivered']);
    expect(idsSentTo(bot).sort()).toEqual([...ids].sort());
  });

  it.each([
    ['headers', (response: ServerResponse) => response.socket?.write('HTTP/1.1 200 OK\r\n'), 'x-a: b\r\n', TIMED_OUT],
    ['a failure', (response: ServerResponse) => response.writeHead(503).write('.'), '.', { status: 503 }],
  ])('whose answer drips (%s) is cut off at the timeout', async (_what, begin, drop, expected) => {
    const stage = await startDelivery({ timeout_ms: 200, max_attempts: 1 });
    stage.bot.otherwise = (_request, response) => {
      begin(response);
      const drops = setInterval(() => (response.headersSent ? response : response.socket)?.write(drop), 10);
      response.on('close', () => clearInterval(drops));
    };
    const { status, log } = await settledDelivery(stage);
    expect({ status, log }).toMatchObject({ status: 'dead', log: [expected] });
    expect(log[0]?.duration_ms).toBeLessThan(5000);
  });
});

describe('a TLS failure', () => {
  it('from an untrusted certificate sends nothing', async () => {
    const requests: string[] = [];
    const server = createHttpsServer(SELF_SIGNED, (request, response) => {
      requests.push(request.url ?? '');
      response.end();
    });
    const { port } = await listening(server);
    const stage = await startDelivery({ url: `https://127.0.0.1:${port}/hook`, max_attempts: 1 });
    const { status, log } = await settledDelivery(stage);
    expect(status).toBe('dead');
    expect(log).toMatchObject([{ status: null, error: expect.stringContaining('self-signed') as unknown }]);
    expect(requests).toEqual([]);
  });

  it('from http on one side and https on the other sends nothing', async () => {
    const plain = await startBot();
    const encrypted = await listening(createHttpsServer(SELF_SIGNED));
    for (const url of [plain.url.replace('http:', 'https:'), `http://127.0.0.1:${encrypted.port}/`]) {
      const { status, log } = await settledDelivery(await startDelivery({ url, max_attempts: 1 }));
      expect([url, status]).toEqual([url, 'dead']);
      expect(log).toMatchObject([{ status: null, error: expect.stringMatching(/\S/) as unknown }]);
    }
    expect(plain.requests).toEqual([]);
  });
});

describe('a way around the allowed addresses', () => {
  it.each([301, 302, 303, 307, 308])('is not opened by a %i to a metadata service', async (status) => {
    const stage = await startDelivery({ max_attempts: 1 });
    const location = 'http://169.254.169.254/latest/meta-data/iam/security-credentials/';
    stage.bot.otherwise = (_request, response) => response.writeHead(status, { location }).end('see there');
    const { log, ...delivery } = await settledDelivery(stage);
    expect(delivery).toMatchObject({ status: 'dead', last_error: `The target answered ${status}.` });
    expect(log).toMatchObject([{ status, response: 'see there' }]);
    expect(stage.bot.requests).toHaveLength(1);
  });

  it('is not opened by a proxy in the environment, which is not used', async () => {
    const [proxy, bot] = [await startBot(), await startBot()];
    const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];
    const env = Object.fromEntries(names.map((name) => [name, proxy.url]));
    const { client } = await startProcess({ ...env, NODE_USE_ENV_PROXY: '1' });
    await client.addChannel();
    await client.addTarget({ url: bot.url });
    await client.webhook(textWebhook('m-1'));
    expect((await bot.received(1))[0]?.ids).toEqual(['m-1']);
    expect(proxy.requests).toEqual([]);
  });
});
