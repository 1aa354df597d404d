import express from 'express';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface OneRouteBotOptions {
  /** The only path that accepts messages, by POST. */
  readonly route: string;
  /** Base URL of Whapi's API: the gateway's `/whapi`. */
  readonly apiUrl: string;
  readonly token: string;
}

export interface OneRouteBot {
  /** Scheme, host and port. */
  readonly url: string;
  /** The ids of the messages that it has answered, oldest first. */
  readonly answered: readonly string[];
  /** Other requests, which it answered 404: `PUT /hook/statuses`. */
  readonly refused: readonly string[];
}

interface Incoming {
  readonly id: string;
  readonly from_me: boolean;
  readonly chat_id: string;
  readonly text?: { readonly body: string };
}

/**
 * A bot like Whapi's example bots (docs/whapi.md): express, one route that accepts messages and 404 for everything
 * else. It answers each message through Whapi's API, and only then the webhook.
 */
export async function startOneRouteBot({ route, apiUrl, token }: OneRouteBotOptions): Promise<OneRouteBot> {
  const answered: string[] = [];
  const refused: string[] = [];
  const sendText = async (to: string, body: string): Promise<void> => {
    const response = await fetch(`${apiUrl}/messages/text`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ to, body }),
    });
    if (!response.ok) throw new Error(`Whapi answered ${response.status}: ${await response.text()}`);
  };

  const app = express();
  app.use(express.json());
  app.post(route, async (request, response) => {
    const { messages = [] } = request.body as { messages?: Incoming[] };
    for (const { id, from_me, chat_id, text } of messages) {
      if (from_me) continue;
      answered.push(id);
      await sendText(chat_id, `You wrote: ${text?.body ?? ''}`);
    }
    response.send('Ok');
  });
  app.use((request, response) => {
    refused.push(`${request.method} ${request.path}`);
    response.sendStatus(404);
  });

  const server = await new Promise<Server>((started) => {
    const listening = app.listen(0, '127.0.0.1', () => started(listening));
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, answered, refused };
}
