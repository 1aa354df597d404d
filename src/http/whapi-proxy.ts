import '@fastify/rate-limit'; // the type of app.createRateLimit
import '@fastify/swagger'; // the type of `schema.hide`
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Duplex, Readable } from 'node:stream';
import { identityOf } from '../connect/identity.js';
import { GatewayError } from '../errors.js';
import type { Channel, Sealed } from '../model.js';
import { bearerOf } from './auth.js';
import type { RefuseAuthentication } from './auth.js';
import { BodyCopy, peek, decodedText } from './body-peek.js';
import { answerAsWhapi, errorHandler } from './problem.js';
import { changesSettings, dropsWebhook } from './settings-change.js';
import { channelsByToken } from './token-channels.js';
import { announcesBody, bodyless, requestHeaders } from './whapi-headers.js';
import { asGatewayError, registerUpstream } from './whapi-upstream.js';
import type { UpstreamResponse, CallUpstream, UpstreamRequest } from './whapi-upstream.js';
import { parseWhapiUrl, PREFIX } from './whapi-url.js';
import type { WhapiUrl } from './whapi-url.js';
import type { Registry } from '../store/registry.js';

export interface WhapiProxyOptions {
  readonly store: { readonly registry: Pick<Registry, 'channel' | 'channels' | 'connection'> };
  readonly publicUrl: string | null;
  readonly openSecret: (sealed: Sealed) => string;
  readonly refuse: RefuseAuthentication;
  /** Requests per client address; 0: no limit. Counted apart from `/v1`: a busy bot does not lock its admin out. */
  readonly ratePerMinute: number;
  /** How long Whapi may take to begin its answer, and between two pieces of it. An upload that goes on has no limit. */
  readonly timeoutMs: number;
  /** Connections on which bodies are on their way to Whapi. */
  readonly uploads: Pick<WeakSet<Duplex>, 'add' | 'delete'>;
  readonly resyncs: WhapiResyncs;
  readonly log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'debug'>;
}

/** An answer of Whapi's, with the beginning of its body where that is not a 200's. */
export interface WhapiResponse {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | null;
}

/** An answer, perhaps with its body read. */
type ReadResponse = Omit<UpstreamResponse, 'body'> & { readonly body: Readable | Buffer };

type CallOutcome =
  | { readonly outcome: WhapiResponse; readonly answer: ReadResponse }
  | { readonly outcome: { readonly error: unknown }; readonly answer?: never };

/** What calls that pass through bring about. */
export interface WhapiResyncs {
  /**
   * Registers the ids, then makes the call, one at a time per channel (I2), until `signal` ends it; null where `isOver`
   * said that the client was gone before its turn came. @throws GatewayError
   */
  makeCall<T extends Pick<CallOutcome, 'outcome'>>(
    about: { readonly channel: string; readonly messageIds: readonly string[] },
    call: (signal: AbortSignal) => Promise<T>,
    isOver: () => boolean,
  ): Promise<T | null>;
  /** Has a message brought back that Whapi says it does not have; gives the id of the resync that does it, else null. */
  resyncIfMissing(
    about: { readonly channel: string; readonly messageId: string },
    said: WhapiResponse,
    asked: 'message' | 'quoted',
  ): Promise<string | null>;
}

/** A request that was let in. */
interface AuthorizedRequest extends UpstreamRequest {
  readonly channel: Channel;
  readonly url: WhapiUrl;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const READING = new Set(['GET', 'HEAD']);
const MISSING = new Set([400, 404]);
/** Of an error, and of a request that may quote. */
const MOST_BYTES_READ = 64 * 1024;
const RESYNC_HEADER = 'x-gateway-resync';
const HINT = `send the channel's own Whapi token as "Authorization: Bearer …", or as "?token=…"`;

/**
 * `/whapi/*`: Whapi's API under another base URL, for clients that know nothing of the gateway. Bodies stream both ways
 * and nothing of a message changes but what belongs to one connection. A call with `resync=true` is registered first.
 */
export async function whapiProxy(app: FastifyInstance, options: WhapiProxyOptions): Promise<void> {
  const { refuse, log } = options;
  const channelOf = channelsByToken(options.store, options.openSecret);
  const limit = rateLimiter(app, options.ratePerMinute);
  const authorized = new WeakMap<FastifyRequest, AuthorizedRequest>();

  app.setErrorHandler(errorHandler(log, answerAsWhapi));
  // Bodies go on unread: Fastify is to take them for nothing.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  const callUpstream = await registerUpstream(app, options.timeoutMs);

  const authorize = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { raw } = request;
    const url = parseWhapiUrl(raw.url ?? '');
    const token = tokenOf(request, url);
    const channel = token === null ? null : await channelOf(token);
    if (!channel) return await refuse(request, reply, HINT);
    await limit(request, reply);
    const { socket } = raw;
    if (!READING.has(raw.method ?? '')) options.uploads.add(socket);
    reply.raw.once('close', () => options.uploads.delete(socket));
    authorized.set(request, {
      channel,
      url,
      baseUrl: channel.whapiBaseUrl,
      target: url.target,
      headers: requestHeaders(raw.headers),
      // Where Whapi answers before it has all of it, the request must stay open for that answer.
      body: announcesBody(raw.headers) ? raw.iterator({ destroyOnReturn: false }) : null,
      signal: whenGone(reply),
    });
    delete raw.headers['content-type']; // Fastify would refuse a request with one that makes no sense
  };

  const handle = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const passage = authorized.get(request);
    if (!passage) throw new GatewayError('GW_INTERNAL', 'A request came past its authentication.');
    const { method } = request;
    const { url, signal } = passage;
    const isResync = READING.has(method) && url.wantsResync && url.messageId !== null;
    try {
      const { status, headers, body } = isResync
        ? await resync(url.messageIds, reply, passage)
        : await passThrough(method, reply, passage);
      reply.code(status).headers(headers).send(body);
    } catch (error) {
      if (!signal.aborted) throw asGatewayError(error);
      reply.hijack(); // nobody is there to be told
    }
    return await reply;
  };

  /** A call with `resync=true`: registered before it is made, settled before it is answered. */
  const resync = async (
    messageIds: readonly string[],
    reply: FastifyReply,
    passage: AuthorizedRequest,
  ): Promise<ReadResponse> => {
    const about = { channel: passage.channel.name, messageIds };
    // Others wait for this call to end: it does not wait for a body, which such a request has no use for.
    const headers = passage.body === null ? passage.headers : bodyless(passage.headers);
    const asked = { ...passage, headers, body: null };
    const call = async (signal: AbortSignal): Promise<CallOutcome> =>
      await outcomeOf(callUpstream, reply, { ...asked, signal: AbortSignal.any([passage.signal, signal]) });
    const made = await options.resyncs.makeCall(about, call, () => passage.signal.aborted);
    if (made?.answer) return made.answer;
    throw made ? made.outcome.error : passage.signal.reason;
  };

  /** A call that is none of a resync. Where the channel wants it, what Whapi does not find is brought back. */
  const passThrough = async (
    method: string,
    reply: FastifyReply,
    passage: AuthorizedRequest,
  ): Promise<ReadResponse> => {
    const { channel, url } = passage;
    if (changesSettings(method, url.target)) return await changeSettings(reply, passage);
    if (!channel.autoResync) return await callUpstream(reply, passage);
    const mayQuote = method === 'POST' && url.isUnderMessages;
    const copy = new BodyCopy(MOST_BYTES_READ);
    const body = mayQuote && passage.body ? copy.of(passage.body) : passage.body;
    const answer = await callUpstream(reply, { ...passage, body });
    if (!MISSING.has(answer.status)) return answer;
    const looked = method === 'GET' ? url.messageId : null;
    const quoted = mayQuote ? (url.quoted ?? quotedIn(copy.whole)) : null;
    const messageId = looked ?? quoted;
    if (messageId === null) return answer;
    const { outcome, answer: same } = await peeked(answer);
    const about = { channel: channel.name, messageId };
    const resyncId = await options.resyncs.resyncIfMissing(about, outcome, looked === null ? 'quoted' : 'message');
    if (resyncId !== null) reply.header(RESYNC_HEADER, resyncId);
    return same;
  };

  /** A client that sets webhooks without the gateway's cuts it off: that has to be seen, though the call is its own. */
  const changeSettings = async (reply: FastifyReply, passage: AuthorizedRequest): Promise<ReadResponse> => {
    const copy = new BodyCopy(MOST_BYTES_READ);
    const answer = await callUpstream(reply, { ...passage, body: passage.body && copy.of(passage.body) });
    const { name } = passage.channel;
    const identity = await identityOf(passage.channel, options.publicUrl, options);
    if (answer.status < 300 && dropsWebhook(copy.whole, identity)) {
      const fix = `Connect it again: "channels connect ${name}", and have the client keep the gateway's webhook in its list.`;
      log.warn({ channel: name, fix }, "a client's PATCH /settings dropped the gateway's webhook at Whapi");
    }
    return answer;
  };

  for (const url of [PREFIX, `${PREFIX}/*`]) {
    app.route({ url, method: METHODS, schema: { hide: true }, onRequest: authorize, handler: handle });
  }
}

/** The one token that a request has; null where it has none or one of another scheme. @throws GatewayError GW_BAD_REQUEST (it has several) */
function tokenOf(request: FastifyRequest, { tokens }: WhapiUrl): string | null {
  const bearer = bearerOf(request);
  if (bearer === null && request.headers.authorization !== undefined) return null;
  const given = new Set(bearer === null ? tokens : [bearer, ...tokens]);
  // Which of them Whapi would go by is not known, so neither is the channel.
  if (given.size > 1) throw new GatewayError('GW_BAD_REQUEST', 'The request has two different tokens. Send one.');
  return [...given][0] ?? null;
}

function whenGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

function rateLimiter(
  app: FastifyInstance,
  max: number,
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  if (max === 0) return async () => await Promise.resolve();
  const count = app.createRateLimit({ max, timeWindow: 60_000, keyGenerator: ({ ip }) => ip });
  return async (request, reply) => {
    const counted = await count(request);
    if (counted.isAllowed || !counted.isExceeded) return;
    reply.header('retry-after', counted.ttlInSeconds);
    throw new GatewayError(
      'GW_RATE_LIMITED',
      `More than ${max} requests a minute (API_RATE_PER_MINUTE). Try again in ${counted.ttlInSeconds} s.`,
    );
  };
}

/** Makes a call whose outcome must be known before its client has the answer. Never rejects. */
async function outcomeOf(
  callUpstream: CallUpstream,
  reply: FastifyReply,
  passage: UpstreamRequest,
): Promise<CallOutcome> {
  try {
    const answer = await callUpstream(reply, passage);
    return answer.status === 200
      ? { outcome: { status: 200, body: '', retryAfter: null }, answer }
      : await peeked(answer);
  } catch (error) {
    return { outcome: { error } };
  }
}

/** Reads what an answer says; the same answer can be sent all the same. */
async function peeked({
  status,
  headers,
  body,
}: UpstreamResponse): Promise<{ outcome: WhapiResponse; answer: ReadResponse }> {
  const { head, body: same } = await peek(body, MOST_BYTES_READ);
  const text = decodedText(head, headers['content-encoding'], MOST_BYTES_READ);
  const outcome = { status, body: text, retryAfter: headers['retry-after'] ?? null };
  return { outcome, answer: { status, headers, body: same } };
}

function quotedIn(body: Buffer | null): string | null {
  try {
    const { quoted } = JSON.parse(body?.toString() ?? '') as { quoted?: unknown };
    return typeof quoted === 'string' && quoted !== '' ? quoted : null;
  } catch {
    return null; // not JSON, or more of it than is looked at
  }
}
