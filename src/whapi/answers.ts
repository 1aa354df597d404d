import { BASE_URL_FIX, isBaseUrlRefused } from '../base-url.js';
import { GatewayError } from '../errors.js';
import { networkErrorText } from '../outgoing.js';
import { printable } from '../printable.js';

/** What Whapi's answer to `GET /messages/{id}` means for a resync (docs/whapi.md, Resync and Errors). */
export type WhapiAnswer =
  /** 200: Whapi has the message. `message`: as it shows it; left out where the answer was too large to be read. */
  { readonly kind: 'found'; readonly message?: Readonly<Record<string, unknown>> } | WhapiFailure;

export type WhapiFailure =
  /** 404 "message not found", or an answer that is not conclusive: a resync may still restore the message. */
  | { readonly kind: 'missing'; readonly reason: string }
  /** 400, 401, 402, 403, or a 404 about the channel: Whapi refused the call. */
  | {
      readonly kind: 'refused';
      /**
       * Set if every other call of the channel will be refused as well; left out if the refusal is about this call
       * alone.
       */
      readonly for?: 'login' | 'quota' | 'token';
      readonly reason: string;
    }
  /** 429 or 5xx. */
  | { readonly kind: 'busy'; readonly reason: string; readonly retryAfter: string | null }
  /** No answer in time. Whapi may still be working on the call. */
  | { readonly kind: 'timeout' }
  /** No connection. `fix`: what to do, where waiting does not help. */
  | { readonly kind: 'unreachable'; readonly reason: string; readonly fix?: string };

/** An answer of Whapi other than a 200, as far as it is read. */
export interface WhapiResponse {
  readonly status: number;
  /** At most MOST_ERROR_BYTES. */
  readonly body: string;
  readonly retryAfter: string | null;
}

export const MOST_ERROR_BYTES = 64 * 1024;
/** A reason is stored with every message id, and a resync has up to ten thousand. */
const MOST_REASON_LENGTH = 500;
const MENTIONS_CHANNEL = /\bchannel\b/i;
const MENTIONS_MESSAGE = /\b(message|quoted?)\b/i;
const SAYS_NOT_FOUND = /\b(not (be )?found|(not|doesn't) exist|no such)\b/i;

interface WhapiErrorText {
  /** `error.message` alone; '' if there is none. */
  readonly message: string;
  /** Status, message and details, for people. */
  readonly reason: string;
}

/** What an answer other than a 200 means. */
export function failureOfResponse({ status, body, retryAfter }: WhapiResponse): WhapiFailure {
  const { message, reason } = whapiErrorText(status, body);
  if (status === 429 || status >= 500) return { kind: 'busy', reason, retryAfter };
  if (status === 400 || status === 403) return { kind: 'refused', reason };
  if (status === 401) return { kind: 'refused', for: 'login', reason };
  if (status === 402) return { kind: 'refused', for: 'quota', reason };
  // An unknown token also gets a 404. Its message tells it from a missing WhatsApp message.
  if (status === 404 && MENTIONS_CHANNEL.test(message)) return { kind: 'refused', for: 'token', reason };
  return { kind: 'missing', reason };
}

/**
 * The error of Whapi's form `{ error: { code, message, details? } }`, or the HTTP status if the body has another form.
 */
function whapiErrorText(status: number, body: string): WhapiErrorText {
  const { error } = (parseJson(body) ?? {}) as { error?: { message?: unknown; details?: unknown } };
  const [message, details] = [error?.message, error?.details].map((part) => (typeof part === 'string' ? part : ''));
  const said = [message, details].filter((part) => part).join(': ');
  if (said !== '') return { message: message ?? '', reason: printable(`${status} ${said}`, MOST_REASON_LENGTH) };
  return { message: '', reason: `HTTP status ${status}` };
}

/**
 * Whether an answer says that a message is not in Whapi's cache. For `GET /messages/{id}` that is any 404 with a
 * message of Whapi's that does not mention the channel. How Whapi refuses to quote is not documented: a 400 or 404 that
 * says that a message was not found counts, one about the chat does not (docs/whapi.md, Errors).
 */
export function reportsMissing({ status, body }: WhapiResponse, requested: 'message' | 'quoted'): boolean {
  const { message, reason } = whapiErrorText(status, body);
  if (message === '' || MENTIONS_CHANNEL.test(message)) return false;
  if (requested === 'message') return status === 404;
  return (status === 404 || status === 400) && MENTIONS_MESSAGE.test(reason) && SAYS_NOT_FOUND.test(reason);
}

/** The HTTP status of an answer; null: there was none. */
export function statusOf(answer: WhapiAnswer): number | null {
  if (answer.kind === 'found') return 200;
  if (answer.kind === 'timeout' || answer.kind === 'unreachable') return null;
  const [, status] = /^(?:HTTP status )?(\d{3})\b/.exec(answer.reason) ?? []; // as `whapiErrorText` writes it
  return status === undefined ? null : Number(status);
}

/** What it means that a call got no answer. */
export function failureOfError(error: unknown): WhapiFailure {
  const { name, code } = error as NodeJS.ErrnoException;
  return NO_ANSWER_CODES.has(name) || NO_ANSWER_CODES.has(code ?? '')
    ? { kind: 'timeout' }
    : {
        kind: 'unreachable',
        reason: printable(networkErrorText(error), MOST_REASON_LENGTH),
        ...(isBaseUrlRefused(error) && { fix: BASE_URL_FIX }),
      };
}

/** The call timed out or the caller went away: Whapi may still be working on it. */
const NO_ANSWER_CODES = new Set([
  'TimeoutError',
  'AbortError',
  'UND_ERR_ABORTED',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);

/** The error for the client that asked for `action`, such as "change the channel's settings". */
export function failureToGatewayError(failure: WhapiFailure, action: string): GatewayError {
  switch (failure.kind) {
    case 'refused':
      return new GatewayError(
        'GW_WHAPI_REFUSED',
        `Whapi refused the request to ${action}: ${failure.reason}. Check the channel's Whapi token (PATCH its whapi_token) and whether the channel is logged in.`,
      );
    case 'timeout':
      return new GatewayError(
        'GW_WHAPI_UNAVAILABLE',
        `Whapi did not answer the request to ${action} in time. Try again.`,
      );
    default: {
      const fix = (failure.kind === 'unreachable' ? failure.fix : undefined) ?? 'Try again later.';
      return new GatewayError('GW_WHAPI_UNAVAILABLE', `Cannot ${action}: ${failure.reason}. ${fix}`);
    }
  }
}

/** Parses JSON; undefined if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
