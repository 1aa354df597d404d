import type { Document } from '../intake/decode.js';
import type { IncomingWebhook, Verdict } from '../model.js';

export interface Intake {
  /**
   * Judges the items of a webhook and writes everything that follows, in one transaction.
   * @throws GatewayError GW_NOT_FOUND (no such channel), GW_CHANNEL_MISMATCH
   */
  record(webhook: IncomingWebhook, document: Document): Promise<Recorded>;
}

export interface Recorded {
  readonly verdicts: readonly Verdict[];
  /** Deliveries became due: a hint for the delivery loop. */
  readonly deliveries: number;
}
