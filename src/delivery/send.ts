import type { Effects } from '../effects.js';
import type { Attempt, Target } from '../model.js';
import { USER_AGENT, networkErrorText } from '../outgoing.js';
import { VIA_HEADER, viaAfter } from '../via.js';
import { readExcerpt, BodyDrainer, isLoopRefusal } from './answer.js';
import { createConnections } from './connections.js';
import type { Exchange } from './connections.js';
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
  'lease' | 'leaseEndsAt' | 'attempts' | 'besideSchedule' | 'newestMessageAt' | 'streak'
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

/** A target's secrets, decrypted. */
interface OpenedTarget {
  readonly headers: Readonly<Record<string, string>>;
  readonly signers: readonly Signer[];
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

export function createSender({ openSecret, guard, gatewayId, effects }: SenderOptions): Sender {
  const connections = createConnections(guard.lookup);
  const bodyDrainer = new BodyDrainer();
  const opened = new WeakMap<Target, OpenedTarget>();

  /** Cached per target object: a changed target is a new object. */
  const secretsOf = (target: Target): OpenedTarget => {
    const known = opened.get(target) ?? {
      headers: withUserAgent(JSON.parse(openSecret(target.headers, placeOf.headers(target))) as Record<string, string>),
      signers: signersOf(target, openSecret),
    };
    opened.set(target, known);
    return known;
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
      const { url, method } = destinationOf(delivery);
      const refusal = guard.refusalOf(url);
      if (refusal) throw refusal;
      const own = secretsOf(delivery.target);
      const signature = signatureHeaders(own.signers, delivery.id, delivery.body, startedAt);
      const via = { [VIA_HEADER]: viaAfter(delivery.via, gatewayId, delivery.id) };
      const headers = { ...own.headers, ...headersOf(delivery), ...via, ...signature };
      const { timeoutMs } = delivery.target;
      const answer = await connections.request(url, { method, headers, body: delivery.body, timeoutMs });
      const { statusCode: status } = answer;
      const outcome: AttemptOutcome = {
        kind: 'answered',
        status,
        retryAfter: singleHeader(answer.headers['retry-after']),
      };
      if (status >= 200 && status < 300) {
        bodyDrainer.start(delivery.target.id, answer.body); // delivered, however the body ends
        return result(outcome, status, null);
      }
      const excerpt = await readExcerpt(answer.body);
      const said: AttemptOutcome = isLoopRefusal(status, excerpt) ? { ...outcome, isLoop: true } : outcome;
      return result(said, status, `The target answered ${status}.`, excerpt);
    } catch (error) {
      return result({ kind: 'failed', ...causeOf(error) }, null, errorText(error, delivery.target));
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
  method: Exchange['method'];
} {
  const verb = method;
  switch (target.mode) {
    case 'as_received':
      return { url: urlBelow(target.url, suffix), method: verb };
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

function headersOf({ channel, contentType, verdicts }: Outgoing): Record<string, string> {
  const list = verdicts.join();
  return {
    'content-type': contentType ?? 'application/json',
    'x-gateway-channel': channel,
    ...(list.length <= LONGEST_VERDICTS_HEADER ? { 'x-gateway-verdicts': list } : {}),
  };
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
function errorText(error: unknown, target: Target): string {
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  const text = isTimeout ? `No answer within ${target.timeoutMs} ms` : networkErrorText(error);
  return `${text.slice(0, MOST_ERROR_LENGTH - 1)}.`;
}

function singleHeader(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}
