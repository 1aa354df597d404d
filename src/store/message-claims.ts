/** Claims of messages decide which of a channel's bots processes one. Deliveries do not depend on them. */
export interface MessageClaims {
  /**
   * Claims a message for `owner` until `ttlSeconds` from now, in one transaction. A second claim of the same owner
   * renews it.
   * @throws GatewayError GW_CLAIMED (another owner's claim has not ended), GW_TOO_MANY_CLAIMS
   */
  claim(request: ClaimRequest): Promise<MessageClaim & { readonly isRenewal: boolean }>;
  /**
   * Ends the claim of `owner`. Returns false if there is none: it may have ended.
   * @throws GatewayError GW_CLAIMED (it is another owner's)
   */
  release(request: Pick<ClaimRequest, 'channel' | 'messageId' | 'owner'>): Promise<boolean>;
}

export interface ClaimRequest {
  readonly channel: string;
  readonly messageId: string;
  readonly owner: string;
  readonly ttlSeconds: number;
}

export interface MessageClaim {
  readonly owner: string;
  /** The first claim of this owner without a gap. */
  readonly claimedAt: number;
  readonly expiresAt: number;
}
