import type { ResyncCall, ResyncRequest } from './store.js';

/** Resyncs of one message, which calls of clients that pass through bring about. A part of `Store`. */
export interface OneResyncs {
  /**
   * Registers ids that are asked for at once, with one call, by whoever registers them: the call is taken in the same
   * transaction (I2) and kept for `leaseMs`. An id that is being brought back, or that is restored while its window is
   * open, joins that registration, whose window is as long as the request's from then on, or longer; for the others there
   * is a new resync. Gives one call for each id. @throws GatewayError GW_NOT_FOUND (no such channel)
   */
  registerAsked(request: ResyncRequest, leaseMs: number): Promise<readonly ResyncCall[]>;
  /**
   * As `register`, for one id, unless a resync of it was made within the last `withinMs`: gives the id of that one, or of
   * the one that was made now. An id that is still being brought back joins that registration, and is asked for again
   * where the last call was made before. `isDue`: a call has become due.
   * @throws GatewayError GW_NOT_FOUND (no such channel)
   */
  registerUnlessRecent(request: ResyncRequest, withinMs: number): Promise<{ resyncId: string; isDue: boolean }>;
}
