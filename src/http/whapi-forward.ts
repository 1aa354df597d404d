import type { FastifyBaseLogger, FastifyReply } from 'fastify';
import type { Readable } from 'node:stream';
import { identityOf } from '../connect/identity.js';
import type { Channel } from '../model.js';
import type { Registry } from '../store/registry.js';
import type { OpenSecret } from '../secret-places.js';
import { BodyCopy, decodedText, peek } from './body-peek.js';
import { changesSettings, dropsWebhook } from './settings-change.js';
import { bodyless } from './whapi-headers.js';
import type { CallUpstream, UpstreamRequest, UpstreamResponse } from './whapi-upstream.js';
import type { WhapiUrl } from './whapi-url.js';

export interface ForwarderOptions {
  readonly store: { readonly registry: Pick<Registry, 'connection'> };
  readonly publicUrl: string | null;
  readonly openSecret: OpenSecret;
  readonly resyncs: WhapiResyncs;
  readonly log: Pick<FastifyBaseLogger, 'warn'>;
}

/** A response of Whapi, with the beginning of its body unless it is a 200. */
export interface WhapiResponse {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | null;
}

/** A response to send on. Its body may already have been read. */
export type ForwardedResponse = Omit<UpstreamResponse, 'body'> & { readonly body: Readable | Buffer };

type CallOutcome =
  | { readonly outcome: WhapiResponse; readonly answer: ForwardedResponse }
  | { readonly outcome: { readonly error: unknown }; readonly answer?: never };

/** Resyncs that a client's own calls to Whapi start. */
export interface WhapiResyncs {
  /**
   * Registers the ids, then makes the call, one at a time per channel (I2), until `signal` aborts it. Returns null when
   * `isOver` says that the client left before its turn. @throws GatewayError
   */
  makeCall<T extends Pick<CallOutcome, 'outcome'>>(
    about: { readonly channel: string; readonly messageIds: readonly string[] },
    call: (signal: AbortSignal) => Promise<T>,
    isOver: () => boolean,
  ): Promise<T | null>;
  /** Starts a resync of a message that Whapi says it does not have. Returns the id of the resync, or null without one. */
  resyncIfMissing(
    about: { readonly channel: string; readonly messageId: string },
    said: WhapiResponse,
    asked: 'message' | 'quoted',
  ): Promise<string | null>;
}

/** A request of a client whose token belongs to a channel. */
export interface AuthorizedRequest extends UpstreamRequest {
  readonly channel: Channel;
  readonly url: WhapiUrl;
}

/** Forwards a request to Whapi and gives the response for its client. Rejects with undici's error or the signal's reason. */
export type Forward = (method: string, reply: FastifyReply, request: AuthorizedRequest) => Promise<ForwardedResponse>;

export const READING = new Set(['GET', 'HEAD']);
const MISSING = new Set([400, 404]);
/** Limit for reading an error, or a request that may quote a message. */
const MOST_BYTES_READ = 64 * 1024;
/** On answers with `auto_resync`: the resync that brings the missing message back. */
export const RESYNC_HEADER = 'x-gateway-resync';

/** Decides how a request is forwarded: as a resync, as a change of settings, with an automatic resync, or as it is. */
export function createForwarder(callUpstream: CallUpstream, options: ForwarderOptions): Forward {
  return async (method, reply, request) => {
    const { url, channel } = request;
    if (READING.has(method) && url.wantsResync && url.messageId !== null) {
      return await forwardResync(callUpstream, options, reply, request);
    }
    if (changesSettings(method, url.target)) return await forwardSettings(callUpstream, options, reply, request);
    if (channel.autoResync) return await forwardWithAutoResync(callUpstream, options, method, reply, request);
    return await callUpstream(reply, request);
  };
}

/** A call with `resync=true` is registered before it is made, and settled before it is answered. */
async function forwardResync(
  callUpstream: CallUpstream,
  { resyncs }: ForwarderOptions,
  reply: FastifyReply,
  request: AuthorizedRequest,
): Promise<ForwardedResponse> {
  // Other calls of the channel wait for this one, so it does not wait for a body, which such a request has no use for.
  const headers = request.body === null ? request.headers : bodyless(request.headers);
  const withoutBody = { ...request, headers, body: null };
  const result = await resyncs.makeCall(
    { channel: request.channel.name, messageIds: request.url.messageIds },
    async (signal) =>
      await outcomeOf(callUpstream, reply, { ...withoutBody, signal: AbortSignal.any([request.signal, signal]) }),
    () => request.signal.aborted,
  );
  if (result?.answer) return result.answer;
  throw result ? result.outcome.error : request.signal.reason;
}

/** For channels with `auto_resync`: a message that Whapi does not find is brought back. */
async function forwardWithAutoResync(
  callUpstream: CallUpstream,
  { resyncs }: ForwarderOptions,
  method: string,
  reply: FastifyReply,
  request: AuthorizedRequest,
): Promise<ForwardedResponse> {
  const { channel, url } = request;
  const mayQuote = method === 'POST' && url.isUnderMessages;
  const copy = new BodyCopy(MOST_BYTES_READ);
  const body = mayQuote && request.body ? copy.of(request.body) : request.body;
  const answer = await callUpstream(reply, { ...request, body });
  if (!MISSING.has(answer.status)) return answer;
  const requestedId = method === 'GET' ? url.messageId : null;
  const quotedId = mayQuote ? (url.quoted ?? quotedIn(copy.whole)) : null;
  const messageId = requestedId ?? quotedId;
  if (messageId === null) return answer;
  const { outcome, answer: unread } = await readBeginning(answer);
  const about = { channel: channel.name, messageId };
  const resyncId = await resyncs.resyncIfMissing(about, outcome, requestedId === null ? 'quoted' : 'message');
  if (resyncId !== null) reply.header(RESYNC_HEADER, resyncId);
  return unread;
}

/** A client that sets webhooks without the gateway's disconnects it. The call is the client's own, so it is only logged. */
async function forwardSettings(
  callUpstream: CallUpstream,
  { store, publicUrl, openSecret, log }: ForwarderOptions,
  reply: FastifyReply,
  request: AuthorizedRequest,
): Promise<ForwardedResponse> {
  const copy = new BodyCopy(MOST_BYTES_READ);
  const answer = await callUpstream(reply, { ...request, body: request.body && copy.of(request.body) });
  const { name } = request.channel;
  const identity = await identityOf(request.channel, publicUrl, { store, openSecret });
  if (answer.status < 300 && dropsWebhook(copy.whole, identity)) {
    const fix = `Run "channels connect ${name}", and have the client keep the gateway's webhook in its list.`;
    log.warn({ channel: name, fix }, "a client's PATCH /settings dropped the gateway's webhook at Whapi");
  }
  return answer;
}

/** Makes a call whose outcome must be known before its client has the response. Never rejects. */
async function outcomeOf(
  callUpstream: CallUpstream,
  reply: FastifyReply,
  request: UpstreamRequest,
): Promise<CallOutcome> {
  try {
    const answer = await callUpstream(reply, request);
    return answer.status === 200
      ? { outcome: { status: 200, body: '', retryAfter: null }, answer }
      : await readBeginning(answer);
  } catch (error) {
    return { outcome: { error } };
  }
}

/** Reads the beginning of a response. The response it returns can still be sent whole. */
async function readBeginning({
  status,
  headers,
  body,
}: UpstreamResponse): Promise<{ outcome: WhapiResponse; answer: ForwardedResponse }> {
  const { head, body: whole } = await peek(body, MOST_BYTES_READ);
  const text = decodedText(head, headers['content-encoding'], MOST_BYTES_READ);
  const outcome = { status, body: text, retryAfter: headers['retry-after'] ?? null };
  return { outcome, answer: { status, headers, body: whole } };
}

/** The id of the message that a request to send one quotes. */
function quotedIn(body: Buffer | null): string | null {
  try {
    const { quoted } = JSON.parse(body?.toString() ?? '') as { quoted?: unknown };
    return typeof quoted === 'string' && quoted !== '' ? quoted : null;
  } catch {
    return null; // not JSON, or longer than what is read
  }
}
