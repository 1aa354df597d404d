import '@fastify/rate-limit'; // the type of app.createRateLimit
import '@fastify/swagger'; // the type of `schema.hide`
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Duplex } from 'node:stream';
import { GatewayError } from '../errors.js';
import type { Guard } from '../guard.js';
import type { Channel } from '../model.js';
import type { Registry } from '../store/registry.js';
import { bearerOf } from './auth.js';
import type { RefuseAuthentication } from './auth.js';
import { answerAsWhapi, errorHandler } from './problem.js';
import { channelsByToken } from './token-channels.js';
import { createForwarder, READING } from './whapi-forward.js';
import type { AuthorizedRequest, Forward, ForwarderOptions } from './whapi-forward.js';
import { announcesBody, requestHeaders } from './whapi-headers.js';
import { upstreamError, registerUpstream } from './whapi-upstream.js';
import { parseWhapiUrl, PREFIX } from './whapi-url.js';
import type { WhapiUrl } from './whapi-url.js';
import { WHAPI_METHODS } from '../contract/whapi.js';

export interface WhapiProxyOptions extends ForwarderOptions {
  readonly store: { readonly registry: Pick<Registry, 'channel' | 'channels' | 'connection'> };
  readonly refuse: RefuseAuthentication;
  /** For base URLs of channels and what they resolve to. */
  readonly guard: Guard;
  /** Requests per channel; 0: no limit. */
  readonly ratePerMinute: number;
  /** Limit for the beginning of Whapi's response, and between two pieces of it. An upload in progress has no limit. */
  readonly timeoutMs: number;
  /** Connections with uploads to Whapi in progress. */
  readonly uploads: Pick<WeakSet<Duplex>, 'add' | 'delete'>;
  readonly log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'debug'>;
}

const METHODS = WHAPI_METHODS.map((method) => method.toUpperCase());
const HINT = `Send the channel's own Whapi token as "Authorization: Bearer <token>" or "?token=<token>"`;

/**
 * `/whapi/*`: Whapi's API under another base URL, for clients that do not know the gateway. Bodies stream both ways, and
 * only headers of a single connection change. A call with `resync=true` is registered first.
 */
export async function whapiProxy(app: FastifyInstance, options: WhapiProxyOptions): Promise<void> {
  const authorized = new WeakMap<FastifyRequest, AuthorizedRequest>();
  app.setErrorHandler(errorHandler(options.log, answerAsWhapi));
  // Bodies are forwarded unread, so Fastify must not parse them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  const forward = createForwarder(await registerUpstream(app, options), options);
  const authorize = authorizer(app, options);

  for (const url of [PREFIX, `${PREFIX}/*`]) {
    app.route({
      url,
      method: METHODS,
      schema: { hide: true },
      onRequest: async (request, reply) => {
        authorized.set(request, await authorize(request, reply));
        delete request.raw.headers['content-type']; // Fastify would refuse a request with an invalid one
      },
      handler: async (request, reply) => await respond(forward, authorized.get(request), request.method, reply),
    });
  }
}

/** Finds the channel of a request by its token. The function throws what the request is refused with. */
function authorizer(
  app: FastifyInstance,
  options: WhapiProxyOptions,
): (request: FastifyRequest, reply: FastifyReply) => Promise<AuthorizedRequest> {
  const channelOf = channelsByToken(options.store, options.openSecret);
  const limit = rateLimiter(app, options.ratePerMinute);
  return async (request, reply) => {
    const { raw } = request;
    const url = parseWhapiUrl(raw.url ?? '');
    const token = tokenOf(request, url);
    const channel = token === null ? null : await channelOf(token);
    if (!channel) return await options.refuse(request, reply, HINT);
    await limit(request, reply, channel);
    const { socket } = raw;
    if (!READING.has(raw.method ?? '')) options.uploads.add(socket);
    reply.raw.once('close', () => options.uploads.delete(socket));
    return {
      channel,
      url,
      baseUrl: channel.whapiBaseUrl,
      target: url.target,
      headers: requestHeaders(raw.headers),
      // When Whapi responds before it has the whole body, the request must stay open for that response.
      body: announcesBody(raw.headers) ? raw.iterator({ destroyOnReturn: false }) : null,
      signal: whenGone(reply),
    };
  };
}

/** Sends Whapi's response to the client, unless the client has left. */
async function respond(
  forward: Forward,
  request: AuthorizedRequest | undefined,
  method: string,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (!request) throw new GatewayError('GW_INTERNAL', 'The request was not authenticated.');
  try {
    const { status, headers, body } = await forward(method, reply, request);
    reply.code(status).headers(headers).send(body);
  } catch (error) {
    if (!request.signal.aborted) throw upstreamError(error);
    reply.hijack(); // the client has left
  }
  return await reply;
}

/** The token of a request; null without one, or with another scheme. @throws GatewayError GW_BAD_REQUEST (two tokens) */
function tokenOf(request: FastifyRequest, { tokens }: WhapiUrl): string | null {
  const bearer = bearerOf(request);
  if (bearer === null && request.headers.authorization !== undefined) return null;
  const given = new Set(bearer === null ? tokens : [bearer, ...tokens]);
  // It is unknown which of them Whapi would use, so the channel is unknown, too.
  if (given.size > 1)
    throw new GatewayError('GW_BAD_REQUEST', 'The request has two different tokens. Send only one of them.');
  return [...given][0] ?? null;
}

function whenGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

/** Counts requests per channel: bots behind one proxy do not use up each other's limit. */
function rateLimiter(
  app: FastifyInstance,
  max: number,
): (request: FastifyRequest, reply: FastifyReply, channel: Channel) => Promise<void> {
  if (max === 0) return async () => await Promise.resolve();
  const names = new WeakMap<FastifyRequest, string>();
  const count = app.createRateLimit({ max, timeWindow: 60_000, keyGenerator: (request) => names.get(request) ?? '' });
  return async (request, reply, { name }) => {
    names.set(request, name);
    const counted = await count(request);
    if (counted.isAllowed || !counted.isExceeded) return;
    reply.header('retry-after', counted.ttlInSeconds);
    throw new GatewayError(
      'GW_RATE_LIMITED',
      `More than ${max} requests per minute of channel "${name}" (API_RATE_PER_MINUTE). Try again in ${counted.ttlInSeconds} s.`,
    );
  };
}
