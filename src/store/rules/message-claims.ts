import { ClaimedError, GatewayError } from '../../errors.js';
import type { ClaimRequest, MessageClaim } from '../message-claims.js';

/**
 * Rows of `claims` per channel, about 100 bytes each. With the default API_RATE_PER_MINUTE and the default time of a claim,
 * a channel reaches 864,000.
 */
export const MOST_CLAIMS = 1_000_000;

/**
 * The claim that a request makes.
 * @param found the newest claim of the message, over or not; undefined: there is none
 * @throws GatewayError GW_CLAIMED
 */
export function claimOf(
  { messageId, owner, ttlSeconds }: ClaimRequest,
  found: MessageClaim | undefined,
  now: number,
): MessageClaim & { readonly isRenewal: boolean } {
  const isRenewal = found !== undefined && found.expiresAt > now;
  if (isRenewal && found.owner !== owner) throw new ClaimedError(messageId, found);
  return { owner, claimedAt: isRenewal ? found.claimedAt : now, expiresAt: now + ttlSeconds * 1000, isRenewal };
}

/** The error for a channel that is full of claims: GW_TOO_MANY_CLAIMS. */
export function tooManyClaims(channel: string, most: number): GatewayError {
  return new GatewayError(
    'GW_TOO_MANY_CLAIMS',
    `Channel "${channel}" has ${most} claims, the most that are kept. Use a shorter ttl_seconds, for example 3600, or ` +
      'DELETE the claims of messages that are done.',
  );
}
