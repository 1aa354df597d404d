import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../errors.js';
import { printable } from '../printable.js';
import { clientAddress } from './client-address.js';
import { describeFaults, partOf } from './validation-errors.js';
import { urlWithoutSecret } from './webhook-path.js';

export const PROBLEM_TYPE = 'application/problem+json';
/** After a 503: time for some commits, or to make room on the disk. */
const RETRY_UNAVAILABLE_SECONDS = 5;

/** Sends an error as a response. */
export type AnswerError = (error: GatewayError, reply: FastifyReply) => FastifyReply;

/** Answers an error as RFC 9457 problem details, with its stable code. */
export function answerProblem(error: GatewayError, reply: FastifyReply): FastifyReply {
  if (error.status === 503) reply.header('retry-after', RETRY_UNAVAILABLE_SECONDS);
  return reply.code(error.status).type(PROBLEM_TYPE).send(problemOf(error));
}

function problemOf(error: GatewayError) {
  return {
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: printable(error.message),
    code: error.code,
    ...(error.fields.length > 0 ? { errors: error.fields } : {}),
  };
}

/** Answers a request that is invalid or did not arrive in time, and closes its connection. */
export function answerClientError({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = CLIENT_ERRORS.get(code ?? '') ?? new GatewayError('GW_BAD_REQUEST', 'Invalid HTTP request.');
  const body = JSON.stringify(problemOf(error));
  const head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\ncontent-type: ${PROBLEM_TYPE}`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
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
 * Answers an error in Whapi's form (docs/whapi.md, Errors). `details` holds the gateway's stable code, which tells it apart
 * from Whapi's own errors.
 */
export function answerAsWhapi({ status, message, code }: GatewayError, reply: FastifyReply): FastifyReply {
  return reply
    .code(status)
    .type('application/json')
    .send({ error: { code: status, message: printable(message), details: code } });
}

/** The server's error handler. An unexpected error is logged with its stack and answered without details. */
export function errorHandler(
  log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'debug'>,
  answer: AnswerError = answerProblem,
): ErrorHandler {
  return (error, request, reply) => {
    const { method, url } = request;
    const known = asKnown(error);
    const about = { method, url: urlWithoutSecret(url), client: clientAddress(request), code: known.code };
    if (known.code === 'GW_INTERNAL') log.error({ ...about, err: error }, 'request failed');
    else if (known.status >= 500)
      log.warn({ ...about, detail: known.message, cause: causeOf(known) }, 'request failed');
    else log.debug({ ...about, detail: known.message }, 'request refused');
    return answer(known, reply);
  };
}

/** Any error as a `GatewayError`; GW_INTERNAL for an unexpected one. */
export function asKnown(error: FastifyError | Error): GatewayError {
  if (error instanceof GatewayError) return error;
  const { code, statusCode, validation, validationContext } = error as FastifyError;
  if (validation) {
    const { detail, fields } = describeFaults(validation, partOf(validationContext));
    return new GatewayError('GW_BAD_REQUEST', detail, fields);
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new GatewayError(
      'GW_TOO_LARGE',
      'The request body is too large. For webhooks the limit is MAX_BODY_BYTES (default 10485760).',
    );
  }
  if (code === 'FST_ERR_CTP_INVALID_JSON_BODY' || code === 'FST_ERR_CTP_EMPTY_JSON_BODY') {
    return new GatewayError('GW_BAD_JSON', 'The body is not valid JSON.');
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new GatewayError(
      'GW_BAD_REQUEST',
      'Unsupported content type. Send JSON with "content-type: application/json".',
    );
  }
  if (code === 'FST_ERR_BAD_URL')
    return new GatewayError('GW_BAD_REQUEST', 'Invalid path: its percent-encoding is broken. Encode "%" as %25.');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new GatewayError('GW_BAD_REQUEST', error.message);
  }
  return new GatewayError('GW_INTERNAL', 'Internal error. The log of the gateway has the details.', [], {
    cause: error,
  });
}
