import type { Channel, Sealed, Target } from '../model.js';

/** Channels and targets, and what the gateway has set up at Whapi. */
export interface Registry {
  channels(): Promise<readonly Channel[]>;
  channel(name: string): Promise<Channel | null>;
  /** @throws GatewayError GW_CONFLICT (the name is taken) */
  addChannel(channel: Channel): Promise<void>;
  /** A change that may end a pause of its calls to Whapi has them tried at once. @throws GatewayError GW_NOT_FOUND */
  changeChannel(name: string, change: Partial<Omit<Channel, 'name' | 'createdAt'>>): Promise<Channel>;
  /** Its resyncs are cancelled; deliveries already recorded go on. @throws GatewayError GW_NOT_FOUND */
  removeChannel(name: string): Promise<void>;
  connection(channel: string): Promise<Connection | null>;
  /** What an earlier connect has set stays to be undone. @throws GatewayError GW_NOT_FOUND (no such channel) */
  rememberConnection(channel: string, connection: Connection): Promise<void>;
  forgetConnection(channel: string): Promise<void>;
  targets(): Promise<readonly Target[]>;
  target(id: string): Promise<Target | null>;
  addTarget(target: Target): Promise<void>;
  /** @throws GatewayError GW_NOT_FOUND */
  changeTarget(id: string, change: Partial<Omit<Target, 'id' | 'createdAt'>>): Promise<Target>;
  /**
   * Gives a target a new secret. The one before it signs until `previousExpiresAt`, those before that as long as they
   * were given; null: from now on only the new one signs.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (too many earlier ones still sign)
   */
  rotateSecret(id: string, secret: Sealed, previousExpiresAt: number | null): Promise<Target>;
  /** Disables a target for a reason of its own, unless it was disabled or given another URL meanwhile: then false. */
  switchOff(target: Pick<Target, 'id' | 'url'>, reason: string): Promise<boolean>;
  /** Its pending deliveries end as dead. @throws GatewayError GW_NOT_FOUND */
  removeTarget(id: string): Promise<void>;
}

/** What the gateway has set up at Whapi for a channel, so that it can be undone. */
export interface Connection {
  /** Where Whapi was told to send the channel's webhooks. */
  readonly webhookUrl: string;
  /** `callback_persist` was off before, and is to be off again. */
  readonly hasSetPersist: boolean;
  readonly connectedAt: number;
}
