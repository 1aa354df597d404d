import { STATUS_CODES } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ClaimedError, DamagedStoreError, GatewayError } from '../errors.js';
import type { GatewayErrorCode } from '../errors.js';
import { printable } from '../printable.js';
import { clientAddress } from './client-address.js';
import { iso } from './schemas.js';
import { describeFaults, partOf } from './validation-errors.js';
import { shownPath } from './shown-path.js';
import { announcesBody } from './whapi-headers.js';
import { isUnderWhapi } from './whapi-url.js';

export const PROBLEM_TYPE = 'application/problem+json';
/** After a 503: time for some commits, or to make room on the disk. */
const RETRY_UNAVAILABLE_SECONDS = 5;

/** After these the connection closes: its client is unknown, or sends too much. */
const CLOSING: ReadonlySet<number> = new Set([401, 404, 429]);

/** An error as a response shows it. */
interface Shape {
  readonly type: string;
  readonly bodyOf: (error: GatewayError) => object;
}

/** The shape of errors for a URL: under `/whapi` that of Whapi's errors (docs/whapi.md, Errors), else RFC 9457. */
function shapeFor(url: string): Shape {
  return isUnderWhapi(url) ? WHAPI_ERROR : PROBLEM;
}

/** Answers an error in the shape for its URL. */
export function answerError(error: GatewayError, reply: FastifyReply): FastifyReply {
  const { url, raw } = reply.request;
  const { type, bodyOf } = shapeFor(url);
  if (error.status === 503) reply.header('retry-after', RETRY_UNAVAILABLE_SECONDS);
  reply.code(error.status).type(type);
  if (!CLOSING.has(error.status)) return reply.send(bodyOf(error));
  reply.header('connection', 'close');
  const text = JSON.stringify(bodyOf(error));
  if (raw.complete || !announcesBody(raw.headers) || raw.method === 'HEAD') return reply.send(text);
  return reply.header('content-length', Buffer.byteLength(text)).send(Readable.from(untilReceived(raw, text)));
}

/** How long a refused client may be silent in the middle of its body. */
const LINGER_MS = 2000;

/**
 * Ends an answer when the whole request has arrived, or no more of it comes. Closing a connection on which a body is still
 * arriving resets it, and its client might not get to read the answer.
 */
async function* untilReceived(request: IncomingMessage, text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
  request.socket.setTimeout(LINGER_MS); // Node destroys the socket then
  await new Promise((resolve) => request.once('end', resolve).once('close', resolve).resume());
}

const PROBLEM: Shape = { type: PROBLEM_TYPE, bodyOf: problemOf };
/** `details` holds the gateway's stable code, which tells its errors apart from Whapi's own. */
const WHAPI_ERROR: Shape = {
  type: 'application/json',
  bodyOf: ({ status, message, code }) => ({ error: { code: status, message: printable(message), details: code } }),
};

function problemOf(error: GatewayError): object {
  return {
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: printable(error.message),
    code: error.code,
    ...(error.fields.length > 0 ? { errors: error.fields } : {}),
    ...(error instanceof ClaimedError ? { holder: holderJson(error) } : {}),
  };
}

function holderJson({ holder: { owner, claimedAt, expiresAt } }: ClaimedError): object {
  return { owner: printable(owner), claimed_at: iso(claimedAt), expires_at: iso(expiresAt) };
}

/** An error of a connection, with the bytes in which Node found it. */
export type ClientError = NodeJS.ErrnoException & { readonly rawPacket?: unknown };

/**
 * Answers a request that is invalid or did not arrive in time, and closes its connection. `url` is that of the request;
 * null if its head is not complete.
 */
export function answerClientError({ code, rawPacket }: ClientError, socket: Socket, url: string | null): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = CLIENT_ERRORS.get(code ?? '') ?? new GatewayError('GW_BAD_REQUEST', 'Invalid HTTP request.');
  const { type, bodyOf } = shapeFor(url ?? urlIn(rawPacket));
  const body = JSON.stringify(bodyOf(error));
  const head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\ncontent-type: ${type}`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
}

/** The URL in the first line of a head; '' for anything else. */
function urlIn(packet: unknown): string {
  const text = Buffer.isBuffer(packet) ? packet.toString('latin1', 0, 200) : '';
  const [, url = ''] = /^[A-Z]+ (\S+)/.exec(text) ?? [];
  return url;
}

/** Node's code of a request that did not arrive in time. */
export const REQUEST_TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';

const CLIENT_ERRORS: ReadonlyMap<string, GatewayError> = new Map([
  [REQUEST_TIMEOUT, new GatewayError('GW_TIMEOUT', 'The request took too long to arrive. Send it again.')],
  [
    'HPE_HEADER_OVERFLOW',
    new GatewayError(
      'GW_HEADERS_TOO_LARGE',
      'The request headers are larger than 16 KiB. Send fewer or shorter headers.',
    ),
  ],
]);

/** The code or message behind an expected failure; a stack would say no more. */
function causeOf({ cause }: GatewayError): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  return (cause as NodeJS.ErrnoException).code ?? cause.message;
}

type ErrorHandler = (error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

/**
 * The error handler of the server, or of a part of it that shows its URLs in another way. An unexpected error is logged
 * with its stack and answered without details.
 */
export function errorHandler(
  log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'debug'>,
  shown: (request: FastifyRequest) => string = shownPath,
): ErrorHandler {
  return (error, request, reply) => {
    const known = asKnown(error, request);
    const about = { method: request.method, url: shown(request), client: clientAddress(request), code: known.code };
    if (known.code === 'GW_INTERNAL') log.error({ ...about, err: error }, 'request failed');
    else if (known.status >= 500)
      log[known instanceof DamagedStoreError ? 'error' : 'warn'](
        { ...about, detail: known.message, cause: causeOf(known) },
        'request failed',
      );
    else log.debug({ ...about, detail: known.message }, 'request refused');
    return answerError(known, reply);
  };
}

/** What is wrong with a request that Fastify refuses. Its own messages repeat the URL, which may hold a secret. */
const REFUSALS: Readonly<Record<string, readonly [GatewayErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    'GW_TOO_LARGE',
    'The request body is too large. For webhooks the limit is MAX_BODY_BYTES (default 10485760).',
  ],
  FST_ERR_CTP_INVALID_JSON_BODY: ['GW_BAD_JSON', 'The body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['GW_BAD_JSON', 'The body is not valid JSON.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'GW_BAD_REQUEST',
    'Unsupported content type. Send JSON with "content-type: application/json".',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'GW_BAD_REQUEST',
    'The body is longer or shorter than its content-length. Correct the header or leave it out.',
  ],
  FST_ERR_BAD_URL: ['GW_BAD_REQUEST', 'Invalid path: its percent-encoding is broken. Encode "%" as %25.'],
  FST_ERR_MAX_PARAM_LENGTH: ['GW_BAD_REQUEST', 'Invalid path: a part of it is too long. Shorten it.'],
};

/** The client closed the connection before the whole body arrived. */
export function hasLeft({ raw }: FastifyRequest): boolean {
  return raw.destroyed && !raw.complete;
}

/** The error of a request whose client has left. Only the log shows it. */
export function cutOff(): GatewayError {
  return new GatewayError('GW_BAD_REQUEST', 'The connection closed before the whole body arrived.');
}

/** Any error as a `GatewayError`; GW_INTERNAL for an unexpected one. */
export function asKnown(error: FastifyError | Error, request: FastifyRequest): GatewayError {
  if (error instanceof GatewayError) return error;
  if (hasLeft(request)) return cutOff();
  const { code, statusCode, validation, validationContext } = error as FastifyError;
  if (validation) {
    const { detail, fields } = describeFaults(validation, partOf(validationContext));
    return new GatewayError('GW_BAD_REQUEST', detail, fields);
  }
  const refusal = REFUSALS[code];
  if (refusal) return new GatewayError(...refusal);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new GatewayError(
      'GW_BAD_REQUEST',
      `Invalid request${code ? ` (${code})` : ''}. Check its path, headers and body.`,
    );
  }
  return new GatewayError('GW_INTERNAL', 'Internal error. The log of the gateway has the details.', [], {
    cause: error,
  });
}
