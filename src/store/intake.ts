import type { Document } from '../intake/decode.js';
import type { IncomingWebhook, Judgement, Replay, Verdict } from '../model.js';
import type { Delivery } from './outbox.js';

export interface Intake {
  /**
   * Judges the items of a webhook and stores it with its verdicts and deliveries, in one transaction (I1, I3).
   * @throws GatewayError GW_NOT_FOUND (unknown channel), GW_CHANNEL_MISMATCH (the webhook names another Whapi channel)
   */
  record(webhook: IncomingWebhook, document: Document): Promise<Recorded>;
}

export interface RecordedReplay {
  readonly replay: Replay;
  /** It began with this webhook. */
  readonly isNew: boolean;
  /** How many messages this webhook added to it; if it is new, those of the minute before as well. */
  readonly messages: number;
}

export interface Recorded {
  /** The public id of the webhook. */
  readonly webhook: string;
  /** One per item. */
  readonly judgements: readonly Judgement[];
  /** The positions of the items that some target was not sent because of their verdicts. */
  readonly held: ReadonlySet<number>;
  /** One per item. */
  readonly verdicts: readonly Verdict[];
  /** The old messages among the items that belong to a replay; null: there are none. */
  readonly replay: RecordedReplay | null;
  /** How many deliveries were added: a hint for the delivery loop. */
  readonly deliveries: number;
  /** Those among them that were leased as they were recorded (see `Outbox.offer`). The caller must send or return them. */
  readonly leased: readonly Delivery[];
}
