import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished, vi } from 'vitest';

export interface BotRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly ids: readonly string[];
}

/** How a bot answers: a status, or a function that handles the response. */
export type BotAnswer = number | ((request: BotRequest, response: ServerResponse) => void);

export interface Bot {
  readonly url: string;
  readonly requests: BotRequest[];
  /** Answers to the next requests, in order. Then `otherwise` applies. */
  readonly answers: BotAnswer[];
  otherwise: BotAnswer;
  /** Resolves when this many requests have arrived, and fails after a timeout. */
  received(count: number): Promise<readonly BotRequest[]>;
  close(): Promise<void>;
}

/** Answers a request that the test does not care about, and returns whether it did. */
type Aside = (request: BotRequest, response: ServerResponse) => boolean;

/** A bare server in place of Whapi. Its channel is ready, and the test answers everything else. */
export async function startBareWhapi(): Promise<Bot> {
  return await startBot(0, ({ url }, response) => {
    if (!url.startsWith('/health')) return false;
    response.end(JSON.stringify({ status: { code: 4, text: 'AUTH' } }));
    return true;
  });
}

/** A bot on a real socket that records its requests. It is closed after the test. */
export async function startBot(port = 0, aside: Aside = () => false): Promise<Bot> {
  const requests: BotRequest[] = [];
  const server = createServer((incoming, response) => {
    void bodyOf(incoming).then((body) => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, url, headers, body, ids: messageIdsOf(body) };
      if (aside(request, response)) return;
      requests.push(request);
      const answer = bot.answers.shift() ?? bot.otherwise;
      if (typeof answer === 'number') response.writeHead(answer).end();
      else answer(request, response);
    });
  });
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  const bot: Bot = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers: [],
    otherwise: 200,
    received: async (count) =>
      await vi.waitFor(
        () => {
          if (requests.length < count) throw new Error(`${requests.length} of ${count} requests have come`);
          return requests;
        },
        { timeout: 20_000, interval: 5 },
      ),
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  onTestFinished(async () => await bot.close());
  return bot;
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function messageIdsOf(body: Buffer): string[] {
  try {
    const { messages } = JSON.parse(body.toString()) as { messages?: { id: string }[] };
    return (messages ?? []).map(({ id }) => id);
  } catch {
    return [];
  }
}
