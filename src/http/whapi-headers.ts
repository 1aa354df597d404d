import type { IncomingHttpHeaders } from 'node:http';

/** They speak of one connection (RFC 9110, 7.6.1), not of the message. */
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

/** Theirs is another host, and what they expected has been given by then. */
const OF_REQUESTS = ['host', 'expect', 'http2-settings'];

/** The headers of an answer that go on. */
export function answerHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return without(headers, HOP_BY_HOP);
}

/** The headers of a request that go on. */
export function requestHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return without(headers, [...HOP_BY_HOP, ...OF_REQUESTS]);
}

/** Headers of a request whose body does not go on. */
export function bodyless(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return without(headers, ['content-length', 'content-encoding', 'content-type']);
}

function without(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
  const listed = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const dropped = new Set([...names, ...listed]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !dropped.has(name)));
}

/** Whether a request's headers announce a body. */
export function announcesBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
