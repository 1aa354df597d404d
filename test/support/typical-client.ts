import express from 'express';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** The configuration of a typical bot. */
export interface ClientConfig {
  /** Base URL of Whapi's API, the only setting that changes behind a gateway. */
  apiUrl: string;
  readonly token: string;
}

export interface TypicalClient {
  /** The URL of its webhook, for mode `method`. */
  readonly hookUrl: string;
  readonly config: ClientConfig;
  /** Resyncs a message as Whapi's help describes it. Returns the status. */
  resync(messageId: string): Promise<number>;
}

/**
 * A typical bot for Whapi: express, `POST /hook/messages` for the webhook mode `method`, answers through the API. It
 * knows nothing about a gateway and answers every message.
 */
export async function startTypicalClient(config: ClientConfig): Promise<TypicalClient> {
  const callApi = async (method: string, path: string, body?: unknown): Promise<number> => {
    const response = await fetch(config.apiUrl + path, {
      method,
      headers: { Authorization: `Bearer ${config.token}`, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    await response.arrayBuffer();
    return response.status;
  };

  const app = express();
  app.use(express.json());
  app.post('/hook/messages', async (request, response) => {
    const { messages = [] } = request.body as { messages?: Incoming[] };
    for (const { from_me, chat_id, text } of messages) {
      if (!from_me) await callApi('POST', '/messages/text', { to: chat_id, body: `You wrote: ${text?.body ?? ''}` });
    }
    response.send('Ok');
  });

  const server = await new Promise<Server>((started) => {
    const listening = app.listen(0, '127.0.0.1', () => started(listening));
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    hookUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    config,
    resync: async (id) => await callApi('GET', `/messages/${id}?resync=true`),
  };
}

interface Incoming {
  readonly from_me: boolean;
  readonly chat_id: string;
  readonly text?: { readonly body: string };
}
