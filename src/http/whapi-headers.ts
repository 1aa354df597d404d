import type { IncomingHttpHeaders } from 'node:http';

/** Headers of a single connection (RFC 9110, 7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Headers of the client's request that do not apply to the request to Whapi. */
const OF_REQUESTS = ['host', 'expect', 'http2-settings'];

/** The headers of a response to forward. */
export function answerHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return without(headers, HOP_BY_HOP);
}

/** The headers of a request to forward. */
export function requestHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return without(headers, [...HOP_BY_HOP, ...OF_REQUESTS]);
}

/** The headers of a request that is forwarded without its body. */
export function bodyless(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return without(headers, ['content-length', 'content-encoding', 'content-type']);
}

function without(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
  const listed = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const dropped = new Set([...names, ...listed]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !dropped.has(name)));
}

/** Whether the headers of a request or a response announce a body. */
export function announcesBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
