import type { GatewayErrorCode } from '../errors.js';
import type { Operation } from './operation.js';

/** What each code means, for the document; the `detail` of an error says it of the request at hand. */
export const MEANING_OF: Readonly<Record<GatewayErrorCode, string>> = {
  GW_BAD_JSON: 'The body is not valid JSON.',
  GW_BAD_REQUEST: 'The request is invalid; `errors` names the fields.',
  GW_NO_PUBLIC_URL: 'The URL where Whapi reaches the gateway is unknown.',
  GW_UNAUTHORIZED: 'The token or secret is missing or wrong.',
  GW_WRONG_ORIGIN: "The dashboard's cookie came with a request of another origin.",
  GW_NOT_FOUND: 'The object does not exist, or no longer does.',
  GW_TIMEOUT: 'The request did not arrive completely in time.',
  GW_CHANNEL_MISMATCH: "The body's `channel_id` is that of another channel.",
  GW_CONFLICT: 'The current state does not allow this.',
  GW_NOT_HELD: 'The item is not held.',
  GW_CLAIMED: 'Another owner has claimed the message; `holder` says who, and until when.',
  GW_UNDER_WAY: 'Something is under way; `errors` has the numbers. With `force` it is removed anyway.',
  GW_PAYLOAD_GONE: 'The payload was pruned.',
  GW_TOO_LARGE: 'The body is too large.',
  GW_IDEMPOTENCY_MISMATCH: 'The idempotency key was used with another body.',
  GW_RATE_LIMITED: 'Too many requests.',
  GW_TOO_MANY_CLAIMS: 'The channel has as many claims as are kept.',
  GW_HEADERS_TOO_LARGE: 'The headers of the request are too large.',
  GW_INTERNAL: 'A fault of the gateway. Its log has the details.',
  GW_WHAPI_REFUSED: 'Whapi refused the call.',
  GW_WHAPI_UNAVAILABLE: 'Whapi cannot be reached, or answers with an error.',
  GW_OVERLOADED: 'More webhooks are waiting than fit into memory.',
  GW_STORE_UNAVAILABLE: 'The store cannot be used for now.',
  GW_WHAPI_TIMEOUT: 'Whapi did not answer in time.',
  GW_LOOP: 'This gateway sent this webhook itself: a target leads back to it.',
};

const EVERYWHERE = [
  'GW_BAD_REQUEST',
  'GW_UNAUTHORIZED',
  'GW_RATE_LIMITED',
  'GW_INTERNAL',
  'GW_STORE_UNAVAILABLE',
] as const;
const FOR_A_BODY = ['GW_BAD_JSON', 'GW_TOO_LARGE'] as const;
const WITH_A_BODY = [...FOR_A_BODY, 'GW_WRONG_ORIGIN'] as const;
const PASSED_THROUGH = ['GW_WHAPI_UNAVAILABLE', 'GW_WHAPI_TIMEOUT'] as const;

/** What of an operation tells its errors. */
interface OperationErrors {
  readonly tags: Operation['tags'];
  readonly security?: Operation['security'];
  readonly 'x-errors'?: Operation['x-errors'];
}

/** Every code that an operation can give; `method` in lower case. Those of a broken connection are described once, in the document's introduction. */
export function errorsOf(operation: OperationErrors, method: string): GatewayErrorCode[] {
  const { tags, security } = operation;
  const own = operation['x-errors'] ?? [];
  const [tag] = tags;
  if (tag === 'whapi') return [...EVERYWHERE, ...PASSED_THROUGH, ...own];
  if (tag === 'claims') return [...EVERYWHERE, ...(method === 'post' ? FOR_A_BODY : []), ...own];
  if (tag === 'operation' && security?.length === 0) return [...own];
  return [...EVERYWHERE, ...(method === 'get' ? [] : WITH_A_BODY), ...own];
}
