import type { EventName, IncomingWebhook, Replay } from '../model.js';

/** Accepted and refused webhooks by channel. A crash can lose up to a minute of refusals. */
export interface Traffic {
  /** Counts a refused webhook of an existing channel; `code`: why, `GW_…`. Counts are saved at most once a minute. */
  countRefusal(channel: string, code: string): void;
  of(channel: string): Promise<ChannelTraffic>;
  /** The events of the newest thousand webhooks, by channel. */
  recentEvents(): Promise<ReadonlyMap<string, readonly EventName[]>>;
  /** When the newest webhook of a channel came, if at or after `since`; null: none did. */
  lastWebhookAt(channel: string, since: number): Promise<number | null>;
  /**
   * How the newest webhook of an event came, in one of these channels (null: in any). Without one: how the newest webhook of
   * another event came. Searches the newest 10,000 webhooks of all channels; null: none matches.
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
  /** The last time that many unrequested old messages came together; null: never. */
  readonly lastReplay: Replay | null;
}

/** The HTTP method and path suffix of a webhook, which depend on the mode that is set at Whapi. */
export interface WebhookForm extends Pick<IncomingWebhook, 'method' | 'suffix'> {
  readonly event: EventName;
}
