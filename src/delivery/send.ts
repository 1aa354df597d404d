import type { Effects } from '../effects.js';
import type { Attempt, Target } from '../model.js';
import { USER_AGENT, networkErrorText } from '../outgoing.js';
import { VIA_HEADER, viaAfter } from '../via.js';
import { isLoopRefusal, isSuccess } from './answer.js';
import type { Answer } from './answer.js';
import { createConnections } from './connections.js';
import { AnswerTimeout } from './exchange.js';
import { AddressNotAllowed } from '../guard.js';
import type { Guard } from '../guard.js';
import type { FailureCause, AttemptOutcome } from './policy.js';
import { signatureHeaders, signersOf } from './sign.js';
import type { Signer } from './sign.js';
import type { Delivery } from '../store/outbox.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

/** The part of a delivery that an attempt needs. */
export type Outgoing = Omit<
  Delivery,
  | 'lease'
  | 'leaseEndsAt'
  | 'attempts'
  | 'besideSchedule'
  | 'newestMessageAt'
  | 'recordedAt'
  | 'isFromBacklog'
  | 'streak'
>;

export interface SendResult {
  readonly outcome: AttemptOutcome;
  readonly attempt: Attempt;
}

export interface Sender {
  /** Makes one attempt. Never rejects: failures are part of the result. */
  send(delivery: Outgoing): Promise<SendResult>;
  /** Why a URL cannot be a target's, as far as it can be told without a DNS lookup; null if it can. */
  whyRefused(url: string): string | null;
  /** Aborts all attempts under way and closes all connections. */
  destroy(): Promise<void>;
}

/** What all attempts of a target have in common. */
interface OpenedTarget {
  /** Its own headers, decrypted: names and values in turn. */
  readonly headers: readonly string[];
  readonly signers: readonly Signer[];
  readonly destinations: Map<string, Destination>;
}

/** The part of a request that an attempt shares with most others of its target. */
interface Destination {
  readonly origin: string;
  /** With the query. */
  readonly path: string;
  readonly method: string;
}

export interface SenderOptions {
  readonly openSecret: OpenSecret;
  readonly guard: Guard;
  /** What this gateway calls itself in `x-gateway-via`. */
  readonly gatewayId: string;
  readonly effects: Pick<Effects, 'now'>;
}

/**
 * Node's HTTP server refuses requests with more than 16 KiB of headers, so a huge batch goes without its list of
 * verdicts.
 */
const LONGEST_VERDICTS_HEADER = 4096;
const MOST_ERROR_LENGTH = 500;
/** Per target. Whapi uses a handful, but anyone with the secret of a channel chooses the path of a webhook. */
const MOST_DESTINATIONS = 50;

export function createSender({ openSecret, guard, gatewayId, effects }: SenderOptions): Sender {
  const connections = createConnections(guard.lookup);
  const opened = new WeakMap<Target, OpenedTarget>();

  /** Cached per target object: a changed target is a new object. */
  const openedTarget = (target: Target): OpenedTarget => {
    const known = opened.get(target);
    if (known) return known;
    const headers = JSON.parse(openSecret(target.headers, placeOf.headers(target))) as Record<string, string>;
    const found = {
      headers: Object.entries(withUserAgent(headers)).flat(),
      signers: signersOf(target, openSecret),
      destinations: new Map<string, Destination>(),
    };
    opened.set(target, found);
    return found;
  };

  /** Parsing and checking the URL for each attempt would cost more than the signature. @throws AddressNotAllowed */
  const allowedDestination = (delivery: Outgoing, { destinations }: OpenedTarget): Destination => {
    const key = destinationKey(delivery);
    const known = destinations.get(key);
    if (known) return known;
    const { url, method } = destinationOf(delivery);
    const refusal = guard.refusalOf(url);
    if (refusal) throw refusal;
    if (destinations.size >= MOST_DESTINATIONS) destinations.clear();
    const destination = { origin: url.origin, path: url.pathname + url.search, method };
    destinations.set(key, destination);
    return destination;
  };

  const request = async (delivery: Outgoing, now: number): Promise<Answer> => {
    const { target, id, body } = delivery;
    const own = openedTarget(target);
    const { origin, path, method } = allowedDestination(delivery, own);
    const headers = [...own.headers];
    addHeadersOf(delivery, headers);
    headers.push(VIA_HEADER, viaAfter(delivery.via, gatewayId, id));
    addSignature(own.signers, delivery, now, headers);
    const limits = { targetId: target.id, timeoutMs: target.timeoutMs };
    return await connections.request({ origin, path, method, headers, body }, limits);
  };

  const send = async (delivery: Outgoing): Promise<SendResult> => {
    const startedAt = effects.now();
    const result = (
      outcome: AttemptOutcome,
      status: number | null,
      error: string | null,
      response = '',
    ): SendResult => ({
      outcome,
      attempt: {
        startedAt,
        durationMs: Math.max(0, effects.now() - startedAt),
        status,
        error,
        ...(response !== '' && { response }),
      },
    });
    try {
      const answer = await request(delivery, startedAt);
      const { status, retryAfter, excerpt } = answer;
      const outcome: AttemptOutcome = { kind: 'answered', status, retryAfter };
      if (isSuccess(status)) return result(outcome, status, null); // delivered, however the body ends
      const said: AttemptOutcome = isLoopRefusal(answer) ? { ...outcome, isLoop: true } : outcome;
      return result(said, status, `The target answered ${status}.`, excerpt);
    } catch (error) {
      return result({ kind: 'failed', ...causeOf(error) }, null, errorText(error));
    }
  };

  return {
    send,
    whyRefused: (text) => {
      if (!URL.canParse(text)) return 'It is not a valid URL; expected one such as http://127.0.0.1:3000/hook.';
      const url = new URL(text);
      if (url.username !== '' || url.password !== '')
        return 'It has a user name or password, which would show in answers of the API. Send them in a header instead, for example Authorization.';
      return guard.refusalOf(url)?.message ?? null;
    },
    destroy: async () => await connections.destroy(),
  };
}

/** Where a delivery goes and how: as it came, or as one of Whapi's three modes would send it (docs/whapi.md, Modes). */
export function destinationOf({
  target,
  event,
  method,
  suffix,
}: Pick<Outgoing, 'target' | 'event' | 'method' | 'suffix'>): {
  url: URL;
  method: string;
} {
  switch (target.mode) {
    case 'as_received':
      return { url: urlBelow(target.url, suffix), method };
    case 'body':
      return { url: new URL(target.url), method: 'POST' };
    case 'path':
      return { url: urlBelow(target.url, `/${encodeURIComponent(event.type)}/${event.method}`), method: 'POST' };
    case 'method':
      return {
        url: urlBelow(target.url, `/${encodeURIComponent(event.type)}`),
        method: event.method.toUpperCase(),
      };
  }
}

function urlBelow(base: string, suffix: string): URL {
  const url = new URL(base);
  if (suffix !== '') url.pathname = url.pathname.replace(/\/$/, '') + suffix;
  return url;
}

/** A target's own user agent takes precedence: some firewalls before a bot only let certain ones through. */
function withUserAgent(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const hasOwn = Object.keys(headers).some((name) => name.toLowerCase() === 'user-agent');
  return hasOwn ? headers : { 'user-agent': USER_AGENT, ...headers };
}

/** What `destinationOf` depends on, besides the target. */
function destinationKey({ target, event, method, suffix }: Outgoing): string {
  switch (target.mode) {
    case 'as_received':
      return `${method} ${suffix}`;
    case 'body':
      return '';
    case 'path':
    case 'method':
      return `${event.method} ${event.type}`;
  }
}

function addHeadersOf({ channel, contentType, verdicts }: Outgoing, headers: string[]): void {
  headers.push('content-type', contentType ?? 'application/json', 'x-gateway-channel', channel);
  const list = verdicts.join();
  if (list.length <= LONGEST_VERDICTS_HEADER) headers.push('x-gateway-verdicts', list);
}

function addSignature(signers: readonly Signer[], { id, body }: Outgoing, now: number, headers: string[]): void {
  const signature = signatureHeaders(signers, id, body, now);
  for (const [name, value] of Object.entries(signature)) headers.push(name, value);
}

/** ENOTFOUND: the DNS server says that the name does not exist. EAI_AGAIN: the DNS server could not be asked. */
const CAUSE_OF_CODE: Readonly<Record<string, FailureCause>> = {
  ENOTFOUND: 'unknown_host',
  ERR_INVALID_URL: 'never',
  UND_ERR_INVALID_ARG: 'never', // undici rejects the URL, a header or the method
};

function causeOf(error: unknown): { cause?: FailureCause } {
  if (error instanceof AddressNotAllowed) return { cause: 'never' };
  const cause = CAUSE_OF_CODE[(error as NodeJS.ErrnoException).code ?? ''];
  return cause ? { cause } : {};
}

/** The other side chooses some of the text, such as its HTTP errors, so the length is limited. */
function errorText(error: unknown): string {
  const text = error instanceof AnswerTimeout ? error.message : networkErrorText(error);
  return `${text.slice(0, MOST_ERROR_LENGTH - 1)}.`;
}
