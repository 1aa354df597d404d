import { vi } from 'vitest';

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface Client {
  readonly url: string;
  /** A request to the API as its admin. */
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>;
  /** A webhook as Whapi sends it. */
  webhook(
    body: string | Buffer,
    options?: WebhookOptions,
  ): Promise<Answer<{ items: number; verdicts: Record<string, number>; code?: string }>>;
  addChannel(settings?: Record<string, unknown>): Promise<void>;
  /** Returns the target's id and secret. */
  addTarget(settings: Record<string, unknown>): Promise<{ id: string; secret: string }>;
  /** Resolves when no delivery is pending. */
  settled(): Promise<void>;
}

export interface WebhookOptions {
  readonly channel?: string;
  readonly method?: string;
  readonly suffix?: string;
  readonly secret?: string;
  readonly headers?: Record<string, string>;
}

export const WEBHOOK_SECRET = 'the-secret-of-the-webhook';

/** Speaks to a running gateway as its admin and as Whapi. */
export function createClient(url: string, adminToken: string): Client {
  const send = async <T>(path: string, init: RequestInit): Promise<Answer<T>> => {
    const response = await fetch(url + path, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? null : JSON.parse(text)) as T };
  };
  const client: Client = {
    url,
    call: async (method, path, body, headers = {}) =>
      await send(path, {
        method,
        headers: {
          authorization: `Bearer ${adminToken}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    webhook: async (
      body,
      { channel = 'main', method = 'POST', suffix = '', secret = WEBHOOK_SECRET, headers = {} } = {},
    ) =>
      await send(`/webhooks/${channel}${suffix}`, {
        method,
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : new Uint8Array(body),
      }),
    addChannel: async (settings = {}) => {
      const channel = { name: 'main', whapi_token: 'a-whapi-token', webhook_secret: WEBHOOK_SECRET, ...settings };
      const { status, body } = await client.call('POST', '/v1/channels', channel);
      if (status !== 201) throw new Error(`The channel was not added: ${JSON.stringify(body)}`);
    },
    addTarget: async (settings) => {
      const { status, body } = await client.call<{ id: string; secret: string }>('POST', '/v1/targets', {
        name: 'bot',
        ...settings,
      });
      if (status !== 201) throw new Error(`The target was not added: ${JSON.stringify(body)}`);
      return body;
    },
    settled: async () =>
      await vi.waitFor(
        async () => {
          const { body } = await client.call<{ data: unknown[] }>('GET', '/v1/deliveries?status=pending&limit=1');
          if (body.data.length > 0) throw new Error('deliveries are pending');
        },
        { timeout: 20_000, interval: 10 },
      ),
  };
  return client;
}
