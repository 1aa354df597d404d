import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import type { Effects } from '../effects.js';
import type { Delivery } from '../ledger/ledger.js';
import type { Attempt, Sealed, Target } from '../model.js';
import { beginningOf, MOST_ANSWER_BYTES } from './answer.js';
import { createGuard, RefusedAddress } from './guard.js';
import type { Lookup } from './guard.js';
import type { TargetNetworks } from './networks.js';
import type { FailureCause, Outcome } from './policy.js';
import { signatureHeaders, signersOf } from './sign.js';
import type { Signer } from './sign.js';

/** What of a delivery an attempt needs. */
export type Outgoing = Omit<Delivery, 'lease' | 'attempts' | 'besideSchedule' | 'newestMessageAt' | 'streak' | 'via'> &
  Partial<Pick<Delivery, 'via'>>;

export interface Sent {
  readonly outcome: Outcome;
  readonly attempt: Attempt;
}

export interface Sender {
  /** Makes one attempt. Never rejects: what went wrong is in the result. */
  send(delivery: Outgoing): Promise<Sent>;
  /** Sends a harmless event of no type that Whapi has, past the queue. Never rejects. */
  sendTest(target: Target, id: string): Promise<Attempt>;
  /** Why a URL cannot be a target's, as far as it can be told without a look-up; null where it can. */
  refusalOf(url: string): string | null;
  /** Breaks off every attempt that is under way and closes all connections. */
  destroy(): Promise<void>;
}

/** What of a target is sealed at rest. */
interface Opened {
  readonly headers: Readonly<Record<string, string>>;
  readonly signers: readonly Signer[];
}

export interface SenderOptions {
  readonly openSecret: (sealed: Sealed) => string;
  readonly networks: TargetNetworks;
  readonly effects: Pick<Effects, 'now'>;
  /** Where the addresses of names come from; the system's resolver if left out. */
  readonly lookup?: Lookup;
}

/** Node's HTTP server refuses a request with 16 KiB of headers; a huge batch goes without the list of its verdicts. */
const LONGEST_VERDICTS_HEADER = 4096;
const CONNECT_TIMEOUT_MS = 10_000;
const LONGEST_REASON = 500;
/** In the form of Whapi's `service` event, which bots do not answer. */
const TEST_EVENT = {
  event: { type: 'service', method: 'post' },
  method: 'POST',
  suffix: '',
  contentType: 'application/json',
  body: Buffer.from('{"event":{"type":"service","event":"post"},"test":true}'),
  verdicts: ['event'],
} as const;

export function createSender({ openSecret, networks, effects, lookup }: SenderOptions): Sender {
  const guard = createGuard(networks, lookup);
  // Of undici's agents the one that asks no proxy: what a proxy connects to could not be judged.
  const agent = new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS, lookup: guard.lookup } });
  const opened = new WeakMap<Target, Opened>();

  /** Once for each state of a target: a changed one is another object. */
  const openedOf = (target: Target): Opened => {
    const known = opened.get(target) ?? {
      headers: JSON.parse(openSecret(target.headers)) as Record<string, string>,
      signers: signersOf(target, openSecret),
    };
    opened.set(target, known);
    return known;
  };

  const send = async (delivery: Outgoing): Promise<Sent> => {
    const startedAt = effects.now();
    const ended = (outcome: Outcome, status: number | null, error: string | null, response = ''): Sent => ({
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
      const own = openedOf(delivery.target);
      const signature = signatureHeaders(own.signers, delivery.id, delivery.body, startedAt);
      const headers = { ...own.headers, ...headersOf(delivery), ...signature };
      const signal = AbortSignal.timeout(delivery.target.timeoutMs);
      const answer = await request(url, { method, headers, body: delivery.body, dispatcher: agent, signal });
      const { statusCode: status } = answer;
      const outcome: Outcome = { kind: 'answered', status, retryAfter: single(answer.headers['retry-after']) };
      if (status >= 200 && status < 300) {
        await answer.body.dump({ limit: MOST_ANSWER_BYTES, signal });
        return ended(outcome, status, null);
      }
      return ended(outcome, status, `The target answered ${status}.`, await beginningOf(answer.body));
    } catch (error) {
      return ended({ kind: 'failed', ...causeOf(error) }, null, reasonOf(error, delivery.target));
    }
  };

  return {
    send,
    sendTest: async (target, id) => (await send({ id, target, channel: 'test', ...TEST_EVENT })).attempt,
    refusalOf: (text) => {
      if (!URL.canParse(text)) return 'is not a URL';
      const url = new URL(text);
      if (url.username !== '' || url.password !== '')
        return 'must not carry a user name or password, which would show in answers: give them as a header';
      return guard.refusalOf(url)?.message ?? null;
    },
    destroy: async () => await agent.destroy(),
  };
}

/** Where and how a delivery goes: as it came, or as one of Whapi's three modes would have sent it (docs/whapi.md, Modes). */
export function destinationOf({
  target,
  event,
  method,
  suffix,
}: Pick<Outgoing, 'target' | 'event' | 'method' | 'suffix'>): {
  url: URL;
  method: Dispatcher.HttpMethod;
} {
  const verb = method;
  switch (target.mode) {
    case 'as_received':
      return { url: extended(target.url, suffix), method: verb };
    case 'body':
      return { url: new URL(target.url), method: 'POST' };
    case 'path':
      return { url: extended(target.url, `/${encodeURIComponent(event.type)}/${event.method}`), method: 'POST' };
    case 'method':
      return {
        url: extended(target.url, `/${encodeURIComponent(event.type)}`),
        method: event.method.toUpperCase(),
      };
  }
}

function extended(base: string, suffix: string): URL {
  const url = new URL(base);
  if (suffix !== '') url.pathname = url.pathname.replace(/\/$/, '') + suffix;
  return url;
}

function headersOf({ channel, contentType, verdicts }: Outgoing): Record<string, string> {
  const list = verdicts.join();
  return {
    'content-type': contentType ?? 'application/json',
    'x-gateway-channel': channel,
    ...(list.length <= LONGEST_VERDICTS_HEADER ? { 'x-gateway-verdicts': list } : {}),
  };
}

/** ENOTFOUND: the name service says that there is no such name; where it is out of order it says EAI_AGAIN. */
const CAUSES: Readonly<Record<string, FailureCause>> = {
  ENOTFOUND: 'unknown_host',
  ERR_INVALID_URL: 'never',
  UND_ERR_INVALID_ARG: 'never', // undici's: a URL, header or method that no request can have
};

function causeOf(error: unknown): { cause?: FailureCause } {
  if (error instanceof RefusedAddress) return { cause: 'never' };
  const cause = CAUSES[(error as NodeJS.ErrnoException).code ?? ''];
  return cause ? { cause } : {};
}

/** Some of it is the other side's to choose, such as the names in a certificate: it is cut. */
function reasonOf(error: unknown, target: Target): string {
  return wordsOf(error, target).slice(0, LONGEST_REASON);
}

function wordsOf(error: unknown, target: Target): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `No answer within ${target.timeoutMs} ms.`;
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

function single(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}
