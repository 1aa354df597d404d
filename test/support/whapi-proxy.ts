import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { startBot } from './bot.js';
import type { Bot, BotRequest } from './bot.js';
import { startLocal } from './gateway.js';
import type { LocalGateway, LocalOptions } from './gateway.js';

export const TOKEN = 'the-token-of-the-channel';

export interface Sent {
  readonly method?: string;
  /** With its query, sent unchanged. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
}

export interface ProxyAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body as JSON. */
  readonly json: unknown;
}

/** Sends a request unchanged, while fetch would rewrite its path and headers. It carries the token by default. */
export async function send(base: string, { body, ...sent }: Sent = {}): Promise<ProxyAnswer> {
  const out = begin(base, sent);
  out.end(body);
  return await answerTo(out);
}

/** A request whose body is still to be written. */
export function begin(base: string, { method = 'GET', path = '/', headers = bearer() }: Sent = {}): ClientRequest {
  const { hostname, port, pathname } = new URL(base);
  return request({ hostname, port, method, path: pathname.replace(/\/$/, '') + path, headers, agent: false });
}

export async function answerTo(out: ClientRequest): Promise<ProxyAnswer> {
  const [response] = (await once(out, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { statusCode: status = 0, headers } = response;
  return { status, headers, body, json: jsonOf(body) };
}

export function bearer(token = TOKEN): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

export interface ProxyStage {
  readonly gateway: LocalGateway;
  /** The base URL of Whapi's API behind the gateway. */
  readonly base: string;
  /** Plays Whapi and records its requests. */
  readonly whapi: Bot;
}

/** A gateway whose channel `main` leads to a server that records requests. */
export async function startProxy(
  channel: Record<string, unknown> = {},
  options: LocalOptions = {},
): Promise<ProxyStage> {
  const gateway = await startLocal(options);
  const whapi = await startBot();
  await gateway.addChannel({ whapi_token: TOKEN, whapi_base_url: whapi.url, ...channel });
  return { gateway, base: `${gateway.url}/whapi`, whapi };
}

/** Sends the same request to Whapi directly and through the gateway. Returns the requests at Whapi and both answers. */
export async function both(
  { base, whapi }: Pick<ProxyStage, 'base' | 'whapi'>,
  sent: Sent,
): Promise<{ came: [BotRequest, BotRequest]; got: [ProxyAnswer, ProxyAnswer] }> {
  const already = whapi.requests.length;
  const direct = await send(whapi.url, sent);
  const through = await send(base, sent);
  const [first, second] = (await whapi.received(already + 2)).slice(already);
  if (!first || !second) throw new Error('Two requests were to come.');
  return { came: [first, second], got: [direct, through] };
}

const OF_THE_CONNECTION = new Set(['host', 'connection', 'keep-alive', 'date']);

/** Headers without those of one connection, host or moment. */
export function lasting({ headers }: { readonly headers: IncomingHttpHeaders }): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name)));
}

/** A Whapi that answers 413 as soon as a request begins. Returns its URL. */
export async function startRefuser(): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(413, { 'content-type': 'application/json' }).end('{"error":{"code":413,"message":"too large"}}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
