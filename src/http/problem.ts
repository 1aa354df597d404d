import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../errors.js';
import type { FieldError } from '../errors.js';
import { maskedUrl } from './webhook-path.js';

/** Faults of one body that are told: ten thousand wrong ids need no ten thousand lines. */
const MOST_FIELDS = 20;
export const PROBLEM_TYPE = 'application/problem+json';
/** After a 503: time for some commits, or for somebody to make room on the disk. */
const RETRY_UNAVAILABLE_SECONDS = 5;

/** How an error is put into an answer. */
export type AnswerError = (error: GatewayError, reply: FastifyReply) => FastifyReply;

/** Answers an error as RFC 9457 says, with our stable code. */
export function answerProblem(error: GatewayError, reply: FastifyReply): FastifyReply {
  if (error.status === 503) reply.header('retry-after', RETRY_UNAVAILABLE_SECONDS);
  return reply.code(error.status).type(PROBLEM_TYPE).send(problemOf(error));
}

function problemOf(error: GatewayError) {
  return {
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.fields.length > 0 ? { errors: error.fields } : {}),
  };
}

/** Answers what is no request (or not a whole one in time) on its connection, and ends that. */
export function answerClientError({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = CLIENT_ERRORS.get(code ?? '') ?? new GatewayError('GW_BAD_REQUEST', 'This is not an HTTP request.');
  const body = JSON.stringify(problemOf(error));
  const head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\ncontent-type: ${PROBLEM_TYPE}`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
}

/** Node's code of a request that did not come in whole in time. */
export const REQUEST_TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';

const CLIENT_ERRORS: ReadonlyMap<string, GatewayError> = new Map([
  [REQUEST_TIMEOUT, new GatewayError('GW_TIMEOUT', 'The request did not come in whole in time.')],
  ['HPE_HEADER_OVERFLOW', new GatewayError('GW_HEADERS_TOO_LARGE', 'The head of the request is larger than 16 KiB.')],
]);

/** The code or words of what lies behind an expected failure: enough, and no stack. */
function causeOf({ cause }: GatewayError): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  return (cause as NodeJS.ErrnoException).code ?? cause.message;
}

type ErrorHandler = (error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

/**
 * An error as a client of Whapi expects it (docs/whapi.md, Errors). Ours can be told from Whapi's own by `details`, which
 * holds our stable code.
 */
export function answerAsWhapi({ status, message, code }: GatewayError, reply: FastifyReply): FastifyReply {
  return reply
    .code(status)
    .type('application/json')
    .send({ error: { code: status, message, details: code } });
}

/** The server's error handler. What is no error of ours is logged whole and answered without its details. */
export function errorHandler(
  log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'debug'>,
  answer: AnswerError = answerProblem,
): ErrorHandler {
  return (error, { method, url }, reply) => {
    const known = asKnown(error);
    const about = { method, url: maskedUrl(url), code: known.code };
    if (known.code === 'GW_INTERNAL') log.error({ ...about, err: error }, 'request failed');
    else if (known.status >= 500)
      log.warn({ ...about, detail: known.message, cause: causeOf(known) }, 'request failed');
    else log.debug({ ...about, detail: known.message }, 'request refused');
    return answer(known, reply);
  };
}

/** An error as one of ours; GW_INTERNAL where it is a fault of the gateway. */
export function asKnown(error: FastifyError | Error): GatewayError {
  if (error instanceof GatewayError) return error;
  const { code, statusCode, validation, validationContext } = error as FastifyError;
  if (validation) {
    const part = PARTS.get(validationContext ?? '') ?? 'request';
    const fields = worthTelling(validation).slice(0, MOST_FIELDS).map(fieldError);
    const first = fields[0];
    return new GatewayError('GW_BAD_REQUEST', `Invalid ${part}: ${first?.path ?? ''} ${first?.message ?? ''}`, fields);
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new GatewayError(
      'GW_TOO_LARGE',
      'The body is larger than is taken here. For webhooks the limit is MAX_BODY_BYTES.',
    );
  }
  if (code === 'FST_ERR_CTP_INVALID_JSON_BODY' || code === 'FST_ERR_CTP_EMPTY_JSON_BODY') {
    return new GatewayError('GW_BAD_JSON', 'The body is not valid JSON.');
  }
  if (code === 'FST_ERR_BAD_URL') return new GatewayError('GW_BAD_REQUEST', 'The path is not a valid URL.');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new GatewayError('GW_BAD_REQUEST', error.message);
  }
  return new GatewayError('GW_INTERNAL', 'Something went wrong here; the log says what.', [], { cause: error });
}

/** The parts of a request as fastify names them, in words. */
const PARTS: ReadonlyMap<string, string> = new Map([
  ['body', 'request body'],
  ['querystring', 'query'],
  ['params', 'path'],
  ['headers', 'headers'],
]);
const HTTP_URL_PATTERN = '^https?://';

type Fault = NonNullable<FastifyError['validation']>[number];

/** Where something may be null, that it is not null either says nothing beside what is wrong with it. */
function worthTelling(faults: readonly Fault[]): readonly Fault[] {
  const unions = new Set(faults.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath));
  const isNoise = ({ keyword, instancePath, params }: Fault): boolean =>
    keyword === 'anyOf' || (keyword === 'type' && params['type'] === 'null' && unions.has(instancePath));
  return faults.filter((fault) => !isNoise(fault));
}

function fieldError(fault: Fault): FieldError {
  const extra = fault.params['additionalProperty'];
  const allowed = fault.params['allowedValues'];
  const path = typeof extra === 'string' ? `${fault.instancePath}/${pointerPart(extra)}` : fault.instancePath;
  const message = typeof extra === 'string' ? 'is not a field here' : faultText(fault);
  return { path, message: Array.isArray(allowed) ? `${message}: ${allowed.join(', ')}` : message };
}

function faultText({ message, keyword, params }: Fault): string {
  const isNoUrl = keyword === 'pattern' && String(params['pattern']).startsWith(HTTP_URL_PATTERN);
  return isNoUrl
    ? 'must be a URL with http:// or https:// (for example http://127.0.0.1:3000/hook)'
    : (message ?? 'is wrong');
}

/** A name as a part of a JSON pointer (RFC 6901). */
export function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
