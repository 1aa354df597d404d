import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { Agent } from 'undici';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../errors.js';
import { connectOptions, networkErrorText } from '../outgoing.js';
import { answerHeaders } from './whapi-headers.js';

/** A request as it is to go out. */
export interface UpstreamRequest {
  /** Of the channel. May have a path. */
  readonly baseUrl: string;
  /** Path and query below the base URL, byte for byte. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: AsyncIterable<Buffer> | null;
  /** Breaks the call off: its client is gone. */
  readonly signal: AbortSignal;
}

/** What came back; its headers are those that go on. */
export interface UpstreamResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/** Makes a call. Rejects with undici's error, or with the signal's reason. */
export type CallUpstream = (reply: FastifyReply, passage: UpstreamRequest) => Promise<UpstreamResponse>;

const REQUEST = Symbol('the request that reply-from is to make');

interface Marked {
  readonly [REQUEST]: UpstreamRequest;
}

/** Gives the server its way to Whapi. `timeoutMs`: until the answer begins, and between two pieces of it. */
export async function registerUpstream(app: FastifyInstance, timeoutMs: number): Promise<CallUpstream> {
  const agent = new Agent({ connect: connectOptions(), headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
  app.addHook('onClose', () => void agent.close()); // what is under way comes to its end
  await app.register(replyFrom, { undici: requesterOf(agent), disableRequestLogging: true });

  return async (reply, passage) =>
    await new Promise((resolve, reject) => {
      const { signal } = passage;
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      let headers: IncomingHttpHeaders = {};
      reply.from('/', {
        getUpstream: () => new URL(passage.baseUrl).origin,
        rewriteRequestHeaders: () => ({ [REQUEST]: passage }),
        rewriteHeaders: (answered) => {
          headers = answerHeaders(answered);
          return {}; // the client's only once it is certain that it gets this answer
        },
        retryDelay: () => null, // whether to try again is up to the client
        onResponse: (_request, { statusCode }, { stream }) => resolve({ status: statusCode, headers, body: stream }),
        onError: (_reply, { error }) => reject(error.cause instanceof Error ? error.cause : error),
      });
    });
}

/**
 * Makes the request of a passage where reply-from would make one of its own: that one goes through URL, which rewrites
 * paths and queries, lets a call go on whose client is gone, knows no body of a GET, and by default checks no certificate.
 */
function requesterOf(agent: Agent): { request: Dispatcher['request'] } {
  const request = (
    options: Dispatcher.RequestOptions,
    callback: (error: Error | null, data: Dispatcher.ResponseData) => void,
  ): void => {
    const { baseUrl, target, headers, body, signal } = (options.headers as IncomingHttpHeaders & Marked)[REQUEST];
    const { origin, pathname } = new URL(baseUrl);
    const path = pathname.replace(/\/$/, '') + target;
    agent.request(
      {
        origin,
        path,
        method: options.method,
        headers,
        body: body as Readable | null, // the types do not know that any iterable will do
        signal,
      },
      callback,
    );
  };
  return { request: request as Dispatcher['request'] };
}

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);
const BAD_REQUESTS = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH']);

/** What the client of a call that failed is told. */
export function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  const { name, code = '', message } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || TIMEOUTS.has(code)) {
    return new GatewayError('GW_WHAPI_TIMEOUT', 'Whapi did not answer in time. The call may have taken effect.');
  }
  if (BAD_REQUESTS.has(code))
    return new GatewayError('GW_BAD_REQUEST', `The request cannot be forwarded to Whapi: ${message}.`);
  return new GatewayError('GW_WHAPI_UNAVAILABLE', `Whapi cannot be reached: ${networkErrorText(error)}. Try again.`);
}
