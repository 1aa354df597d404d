import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { Agent } from 'undici';
import type { Dispatcher } from 'undici';
import { BASE_URL_FIX, BaseUrlRefused, isBaseUrlRefused, whyBaseUrlRefused } from '../base-url.js';
import { GatewayError } from '../errors.js';
import type { Guard } from '../guard.js';
import { connectOptions, networkErrorText } from '../outgoing.js';
import { announcesBody, answerHeaders } from './whapi-headers.js';

/** A request to send to Whapi. */
export interface UpstreamRequest {
  /** Base URL of the channel. May have a path. */
  readonly baseUrl: string;
  /** Path and query below the base URL, byte for byte. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: AsyncIterable<Buffer> | null;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
}

/** A response of Whapi, with the headers to forward. */
export interface UpstreamResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/** Sends a request. Rejects with undici's error, or with the signal's reason. */
export type CallUpstream = (reply: FastifyReply, request: UpstreamRequest) => Promise<UpstreamResponse>;

const REQUEST = Symbol('the request for reply-from to make');

interface WithRequest {
  readonly [REQUEST]: UpstreamRequest;
}

/** Registers the client of Whapi. `timeoutMs`: limit for the beginning of a response, and between two pieces of it. */
export async function registerUpstream(
  app: FastifyInstance,
  { guard, timeoutMs }: { readonly guard: Guard; readonly timeoutMs: number },
): Promise<CallUpstream> {
  const connect = { ...connectOptions(), lookup: guard.lookup };
  const agent = new Agent({ connect, headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
  app.addHook('onClose', () => void agent.close()); // calls in progress finish
  await app.register(replyFrom, { undici: requesterOf(agent), disableRequestLogging: true });

  return async (reply, request) =>
    await new Promise((resolve, reject) => {
      const { signal } = request;
      const refusal = whyBaseUrlRefused(request.baseUrl, guard);
      if (refusal !== null) throw new BaseUrlRefused(refusal);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      let raw: IncomingHttpHeaders = {};
      let headers: IncomingHttpHeaders = {};
      reply.from('/', {
        getUpstream: () => new URL(request.baseUrl).origin,
        rewriteRequestHeaders: () => ({ [REQUEST]: request }),
        rewriteHeaders: (answered) => {
          raw = answered;
          headers = answerHeaders(answered);
          return {}; // set later, when it is certain that the client gets this response
        },
        retryDelay: () => null, // the client decides about retries
        onResponse: (_request, { statusCode: status }, { stream }) => {
          resolve({ status, headers, body: BODYLESS.has(status) ? dropped(stream, announcesBody(raw)) : stream });
        },
        onError: (_reply, { error }) => reject(error.cause instanceof Error ? error.cause : error),
      });
    });
}

/** Statuses whose responses never have a body, whatever their headers say (RFC 9112, 6.3). undici waits for one. */
const BODYLESS = new Set([204, 304]);

/** An empty body. Where one is announced, the connection to Whapi cannot be used again. */
function dropped(stream: Readable, isAnnounced: boolean): Readable {
  if (isAnnounced) stream.on('error', () => undefined).destroy();
  return isAnnounced ? Readable.from([]) : stream;
}

/**
 * Replaces the request that reply-from would make. Its own request rewrites paths and queries with URL, continues after the
 * client has left, drops the body of a GET, and by default does not verify certificates.
 */
function requesterOf(agent: Agent): { request: Dispatcher['request'] } {
  const request = (
    options: Dispatcher.RequestOptions,
    callback: (error: Error | null, data: Dispatcher.ResponseData) => void,
  ): void => {
    const { baseUrl, target, headers, body, signal } = (options.headers as IncomingHttpHeaders & WithRequest)[REQUEST];
    const { origin, pathname } = new URL(baseUrl);
    const path = pathname.replace(/\/$/, '') + target;
    agent.request(
      {
        origin,
        path,
        method: options.method,
        headers,
        body: body as Readable | null, // undici accepts any iterable, but its types do not say so
        signal,
      },
      callback,
    );
  };
  return { request: request as Dispatcher['request'] };
}

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);
const BAD_REQUESTS = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH']);

/** The error to answer the client of a failed call with. */
export function upstreamError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  const { name, code = '', message } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || TIMEOUTS.has(code)) {
    return new GatewayError('GW_WHAPI_TIMEOUT', 'Whapi did not answer in time. The call may have taken effect.');
  }
  if (BAD_REQUESTS.has(code))
    return new GatewayError('GW_BAD_REQUEST', `The request cannot be forwarded to Whapi: ${message}.`);
  if (code.startsWith('HPE_'))
    return new GatewayError(
      'GW_WHAPI_UNAVAILABLE',
      `Whapi's answer is not valid HTTP: ${message} (${code}). Try again.`,
    );
  const fix = isBaseUrlRefused(error) ? BASE_URL_FIX : 'Try again.';
  return new GatewayError('GW_WHAPI_UNAVAILABLE', `Whapi cannot be reached: ${networkErrorText(error)}. ${fix}`);
}
