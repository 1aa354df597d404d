import type { Channel, Sealed, Target } from '../model.js';

/** Channels, targets, and the settings that the gateway has made at Whapi. */
export interface Registry {
  /** May miss what another process has changed within the last second. */
  channels(): Promise<readonly Channel[]>;
  /** Misses nothing: for a token that fits none of `channels`. May take a moment, because anyone can guess tokens. */
  latestChannels(): Promise<readonly Channel[]>;
  /**
   * Like `channels` at first. If what is known does not fit what a client has sent, such as its secret, the latest is read
   * instead, which may take a moment. Left out: any channel fits.
   */
  channel(name: string, fits?: (known: Channel | null) => boolean): Promise<Channel | null>;
  /**
   * First completes the removal of an earlier channel of that name, whose resyncs and audits stay its own. What is remembered
   * of messages belongs to the name. @throws GatewayError GW_CONFLICT (the name is taken)
   */
  addChannel(channel: Channel): Promise<void>;
  /** A new token, address or call budget makes a health check of a paused channel due at once. @throws GatewayError GW_NOT_FOUND */
  changeChannel(name: string, change: Partial<Omit<Channel, 'name' | 'createdAt'>>): Promise<Channel>;
  /**
   * Takes effect at once; `Jobs.step` cancels its resyncs and audits. Recorded deliveries continue.
   * @throws GatewayError GW_NOT_FOUND
   */
  removeChannel(name: string): Promise<void>;
  /** What a removal of the channel would end or leave behind. @throws GatewayError GW_NOT_FOUND */
  workOfChannel(name: string): Promise<WorkUnderWay>;
  connection(channel: string): Promise<Connection | null>;
  /** Keeps `hasSetPersist` of an earlier connect, so that it can be undone. @throws GatewayError GW_NOT_FOUND (unknown channel) */
  rememberConnection(channel: string, connection: Connection): Promise<void>;
  forgetConnection(channel: string): Promise<void>;
  /** All targets. The same list until one is added, changed or removed. */
  targets(): Promise<readonly Target[]>;
  target(id: string): Promise<Target | null>;
  addTarget(target: Target): Promise<void>;
  /** @throws GatewayError GW_NOT_FOUND */
  changeTarget(id: string, change: Partial<Omit<Target, 'id' | 'createdAt'>>): Promise<Target>;
  /**
   * Gives a target a new secret. `previous`: how long the one that it replaces signs; earlier ones sign until their own
   * end. Null: only the new secret signs from now on.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (too many earlier secrets still sign)
   */
  rotateSecret(id: string, secret: Sealed, previous: Predecessor | null): Promise<Target>;
  /** Disables a failing target. Returns false, changing nothing, if it was disabled or got another URL meanwhile. */
  disableTarget(target: Pick<Target, 'id' | 'url'>, reason: string): Promise<boolean>;
  /** What a removal of the target would end. @throws GatewayError GW_NOT_FOUND */
  workOfTarget(id: string): Promise<WorkUnderWay>;
  /** Takes effect at once; `Jobs.step` ends its pending deliveries as dead. @throws GatewayError GW_NOT_FOUND */
  removeTarget(id: string): Promise<void>;
}

/** What happens to the secret that a rotation replaces. */
export interface Predecessor {
  readonly expiresAt: number;
  /** Seals it for its new place. Called in the transaction, so that it is the secret of that moment. */
  readonly seal: (current: Sealed) => Sealed;
}

/** What is under way for a target or a channel. A target has only deliveries. */
export interface WorkUnderWay {
  readonly pendingDeliveries: WorkCount;
  /** Without duplicates, which the targets most likely have. */
  readonly heldItems: WorkCount;
  readonly openResyncs: WorkCount;
  readonly runningAudits: WorkCount;
}

/** A number that is cheap to find. `isMore`: counting stopped, and there may be more. */
export interface WorkCount {
  readonly count: number;
  readonly isMore: boolean;
}

/** The settings that the gateway has made at Whapi for a channel, so that it can undo them. */
export interface Connection {
  /** The URL to which Whapi sends the channel's webhooks. */
  readonly webhookUrl: string;
  /** The gateway turned `callback_persist` on; undoing turns it off again. */
  readonly hasSetPersist: boolean;
  readonly connectedAt: number;
}
