import '@fastify/swagger'; // the type of `schema.hide`
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Duplex } from 'node:stream';
import { GatewayError } from '../errors.js';
import type { Guard } from '../guard.js';
import type { Registry } from '../store/registry.js';
import type { NoteAuthentication, RefuseAuthentication } from './auth.js';
import { callerLimit, tokenOf, UNKNOWN_TOKEN } from './channel-access.js';
import { clientNetwork } from './client-address.js';
import { cutOff, errorHandler, hasLeft } from './problem.js';
import { shownPath } from './shown-path.js';
import { channelsByToken } from './token-channels.js';
import { createForwarder, READING } from './whapi-forward.js';
import type { ForwardedResponse, ForwarderOptions } from './whapi-forward.js';
import { announcesBody, requestHeaders } from './whapi-headers.js';
import { upstreamError, registerUpstream } from './whapi-upstream.js';
import type { CallUpstream, UpstreamRequest } from './whapi-upstream.js';
import { parseWhapiUrl, PREFIX } from './whapi-url.js';
import type { WhapiUrl } from './whapi-url.js';
import { WHAPI_METHODS } from '../contract/whapi.js';

export interface WhapiProxyOptions extends ForwarderOptions {
  readonly store: { readonly registry: Pick<Registry, 'channel' | 'latestChannels' | 'connection'> };
  readonly refuse: RefuseAuthentication;
  readonly onAuthenticated: NoteAuthentication;
  /** For base URLs of channels and what they resolve to. */
  readonly guard: Guard;
  /** Requests per channel; 0: no limit. */
  readonly ratePerMinute: number;
  /** Where the CORS preflights of browsers go: they name no channel. */
  readonly whapiBaseUrl: string;
  /** Limit for the beginning of Whapi's response, and between two pieces of it. An upload in progress has no limit. */
  readonly timeoutMs: number;
  /** Connections with uploads to Whapi in progress. */
  readonly uploads: Pick<WeakSet<Duplex>, 'add' | 'delete'>;
  readonly log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'debug'>;
}

const METHODS = WHAPI_METHODS.map((method) => method.toUpperCase());

/**
 * `/whapi/*`: Whapi's API under another base URL, for clients that do not know the gateway. Bodies stream both ways, and
 * only headers of a single connection change. A call with `resync=true` is registered first.
 */
export async function whapiProxy(app: FastifyInstance, options: WhapiProxyOptions): Promise<void> {
  const admitted = new WeakMap<FastifyRequest, Admitted>();
  const brokenOff = new WeakSet<Error>();
  const answer = errorHandler(options.log, (request) => (admitted.has(request) ? shownPath(request) : `${PREFIX}/…`));
  app.setErrorHandler<Error>((error, request, reply) => {
    if (!brokenOff.has(error)) return answer(error, request, reply);
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name); // those of Whapi's answer
    return answer(upstreamError(error), request, reply);
  });
  // Bodies are forwarded unread, so Fastify must not parse them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  const callUpstream = await registerUpstream(app, options);
  const admit = gatekeeper(app, options, callUpstream);
  const respond = responder(options.log, (error) => brokenOff.add(error));

  for (const url of [PREFIX, `${PREFIX}/*`]) {
    app.route({
      url,
      method: METHODS,
      schema: { hide: true },
      onRequest: async (request, reply) => {
        admitted.set(request, await admit(request, reply));
        delete request.raw.headers['content-type']; // Fastify would refuse a request with an invalid one
      },
      handler: async (request, reply) => await respond(admitted.get(request), request, reply),
    });
  }
}

/** A request that may pass, and how it does. */
interface Admitted {
  /** Null for a preflight of an unknown channel. */
  readonly channel: string | null;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
  readonly call: (reply: FastifyReply) => Promise<ForwardedResponse>;
}

/**
 * Finds the channel of a request by its token. A browser sends its CORS preflights without one, so they pass without a
 * channel, to WHAPI_BASE_URL. The function throws what any other request is refused with.
 */
function gatekeeper(
  app: FastifyInstance,
  options: WhapiProxyOptions,
  callUpstream: CallUpstream,
): (request: FastifyRequest, reply: FastifyReply) => Promise<Admitted> {
  const { uploads, whapiBaseUrl, ratePerMinute, refuse, onAuthenticated } = options;
  const channelOf = channelsByToken(options.store, options.openSecret);
  const forward = createForwarder(callUpstream, options);
  const limit = callerLimit(app, ratePerMinute);
  return async (request, reply) => {
    const { raw } = request;
    const url = parseWhapiUrl(raw.url ?? '');
    const token = tokenOf(request, url.tokens);
    const channel = token === null ? null : await channelOf(token);
    if (!channel) {
      if (!isPreflight(raw)) return await refuse(request, reply, UNKNOWN_TOKEN);
      await limit(request, reply, `client ${clientNetwork(request)}`);
      const preflight = upstreamRequest(raw, reply, url, whapiBaseUrl);
      return { channel, signal: preflight.signal, call: async (to) => await callUpstream(to, preflight) };
    }
    onAuthenticated(request);
    await limit(request, reply, `channel "${channel.name}"`);
    const { socket } = raw;
    if (!READING.has(raw.method ?? '')) uploads.add(socket);
    reply.raw.once('close', () => uploads.delete(socket));
    const passing = { ...upstreamRequest(raw, reply, url, channel.whapiBaseUrl), channel, url };
    const call: Admitted['call'] = async (to) => await forward(request.method, to, passing);
    return { channel: channel.name, signal: passing.signal, call };
  };
}

/** A preflight as the Fetch standard defines it. It has no body, and never carries credentials. */
function isPreflight({ method, headers }: IncomingMessage): boolean {
  const asks = headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
  return method === 'OPTIONS' && asks && !announcesBody(headers);
}

function upstreamRequest(
  raw: IncomingMessage,
  reply: FastifyReply,
  { target }: WhapiUrl,
  baseUrl: string,
): UpstreamRequest {
  return {
    baseUrl,
    target,
    headers: requestHeaders(raw.headers),
    // When Whapi responds before it has the whole body, the request must stay open for that response.
    body: announcesBody(raw.headers) ? raw.iterator({ destroyOnReturn: false }) : null,
    signal: whenGone(reply),
  };
}

/**
 * Sends Whapi's response to the client, unless the client has left. `onBreak` is told of the error of a response that breaks
 * off: before its head has gone out, Fastify hands that error to the error handler.
 */
function responder(log: WhapiProxyOptions['log'], onBreak: (error: Error) => void) {
  return async (
    admitted: Admitted | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> => {
    if (!admitted) throw new GatewayError('GW_INTERNAL', 'The request was not authenticated.');
    const { channel, signal, call } = admitted;
    const about = { channel, method: request.method, url: shownPath(request) };
    try {
      const { status, headers, body } = await call(reply);
      if (body instanceof Readable) {
        if (body.errored) throw body.errored;
        body.once('error', (error: Error) => {
          onBreak(error);
          if (signal.aborted || !reply.raw.headersSent) return;
          log.warn({ ...about, detail: upstreamError(error).message }, 'response from Whapi broke off');
        });
      }
      reply.code(status).headers(headers).send(body);
    } catch (error) {
      if (!signal.aborted) throw upstreamError(error);
      if (hasLeft(request)) throw cutOff();
      log.debug(about, 'client left before the answer of Whapi');
      reply.hijack();
    }
    return await reply;
  };
}

function whenGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}
