import type { EventName, IncomingWebhook } from '../model.js';

/** Webhooks of channels, accepted and refused. Counts of refusals are approximate: a crash may lose up to a minute of them. */
export interface Traffic {
  /** Counts a refused webhook of an existing channel. Costs no commit: counts are written once a minute at most. */
  countRefusal(channel: string, code: string): void;
  of(channel: string): Promise<ChannelTraffic>;
  /** The events of the newest thousand webhooks, by channel. */
  recentEvents(): Promise<ReadonlyMap<string, readonly EventName[]>>;
  /** When the newest webhook of a channel came, at or after `since`; null: none did. */
  lastWebhookAt(channel: string, since: number): Promise<number | null>;
  /**
   * How the newest webhook of an event came, of one of these channels (null: of any); where there is none, how the newest
   * one of another event came. Null where none is among the newest 10,000 of all channels.
   */
  lastForm(event: EventName, channels: readonly string[] | null): Promise<WebhookForm | null>;
}

export interface ChannelTraffic {
  /** When the last webhook was accepted; null: none was. */
  readonly lastWebhookAt: number | null;
  readonly refused: {
    readonly lastAt: number | null;
    /** `GW_…` */
    readonly lastCode: string | null;
    /** Since midnight, UTC. */
    readonly today: number;
  };
}

/** How an event shows in the HTTP method and the path of its webhook: by the mode that is set at Whapi. */
export interface WebhookForm extends Pick<IncomingWebhook, 'method' | 'suffix'> {
  readonly event: EventName;
}
