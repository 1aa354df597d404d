import type { ResyncCall, ResyncRequest } from './ledger.js';

/** Resyncs of one message, which calls of clients that pass through bring about. A part of `Ledger`. */
export interface OneResyncs {
  /**
   * As `register`, for one id that is asked for at once by whoever registers it: its first call is taken in the same
   * transaction (I2) and kept for `leaseMs`. @throws GatewayError GW_NOT_FOUND (no such channel)
   */
  registerAsked(request: ResyncRequest, leaseMs: number): Promise<ResyncCall>;
  /**
   * As `register`, for one id, unless a resync of it was made within the last `withinMs`: gives the id of that one, or of
   * the one that was made now. @throws GatewayError GW_NOT_FOUND (no such channel)
   */
  registerUnlessRecent(request: ResyncRequest, withinMs: number): Promise<{ resyncId: string; isNew: boolean }>;
}
