import type { Document } from '../intake/decode.js';
import type { IncomingWebhook, Judgement, Span, Target } from '../model.js';
import type { Evidence } from './items.js';

/** What the gateway would do with a webhook. Nothing is written. */
export interface Judging {
  /**
   * As if the webhook came now.
   * @throws GatewayError GW_NOT_FOUND (the channel, or a target of the settings), GW_CHANNEL_MISMATCH
   */
  judge(webhook: IncomingWebhook, document: Document, settings: TrialSettings): Promise<Trial>;
  /**
   * A stored webhook as at its arrival, under other settings: what was known then is taken from the recorded rules and their
   * evidence. What a message was compared with is kept only where it was late, so a new one stays new.
   * @throws GatewayError GW_NOT_FOUND (the webhook, or a target of the settings), GW_PAYLOAD_GONE
   */
  judgeAgain(webhookId: string, settings: TrialSettings): Promise<Trial>;
}

/** Settings to try instead of those that are stored: all that decide verdicts and routes. */
export interface TrialSettings {
  readonly lateAfterSeconds?: number | undefined;
  /** By target id. */
  readonly targets?: Readonly<Record<string, TrialTarget>> | undefined;
}

export type TrialTarget = {
  readonly [Field in 'channels' | 'events' | 'deliver' | 'split']?: Target[Field] | undefined;
};

export interface Trial {
  readonly channel: string;
  readonly event: string;
  readonly items: readonly TrialItem[];
  /** The targets that subscribe to the webhook. */
  readonly routes: readonly TrialRoute[];
}

export interface TrialItem extends Judgement, Evidence {
  readonly carrier: string;
  readonly messageId: string | null;
  readonly span: Span | null;
  /** A target that subscribes to it would not get it because of its verdict. */
  readonly held: boolean;
}

export interface TrialRoute {
  readonly targetId: string;
  readonly name: string;
  /** In order; none: everything is held. */
  readonly requests: readonly { readonly positions: readonly number[]; readonly bytes: number }[];
  /** Positions of the items that it would not get. */
  readonly held: readonly number[];
}
