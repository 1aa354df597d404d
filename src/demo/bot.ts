import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WebhookEnvelope, WhapiMessage } from '../whapi/wire.js';

export interface ChatMessage extends WhapiMessage {
  readonly from_name: string;
  readonly text: { readonly body: string };
}

export interface BotAnswer {
  readonly messageId: string;
  readonly text: string;
}

export interface Bot {
  readonly url: string;
  /** Its answers, oldest first. */
  readonly answers: readonly BotAnswer[];
  close(): Promise<void>;
}

export interface BotOptions {
  /** Whether the sender of a request is genuine; the bot refuses others with 401. */
  isGenuine(body: Buffer, headers: IncomingHttpHeaders): boolean;
  send(chatId: string, text: string): Promise<void>;
}

/** Starts a minimal bot: it answers every message that it gets and remembers nothing between requests. */
export async function startBot({ isGenuine, send }: BotOptions): Promise<Bot> {
  const answers: BotAnswer[] = [];

  const handle = async (request: IncomingMessage): Promise<number> => {
    const body = await readBody(request);
    if (!isGenuine(body, request.headers)) return 401;
    const { messages = [] } = JSON.parse(body.toString()) as WebhookEnvelope;
    // Whapi also sends the bot's own messages as webhooks.
    for (const message of messages.filter(({ from_me }) => !from_me) as ChatMessage[]) {
      const text = `Hello ${message.from_name}! You wrote: ${message.text.body}`;
      await send(message.chat_id, text);
      answers.push({ messageId: message.id, text });
    }
    return 200;
  };

  const server = createServer((request, response) => {
    void handle(request)
      .catch(() => 500)
      .then((status) => response.writeHead(status).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
