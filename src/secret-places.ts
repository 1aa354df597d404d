import type { Channel, Sealed, Target } from './model.js';

/** Where a secret is stored. A sealed secret opens only there: moved to another row or column, it is refused. */
export interface Place {
  readonly table: 'channels' | 'targets';
  /** The name of the channel, or the id of the target. */
  readonly row: string;
  readonly column: 'whapi_token' | 'webhook_secret' | 'headers' | 'secret' | 'previous_secrets';
}

type ChannelKey = Pick<Channel, 'name'>;
type TargetKey = Pick<Target, 'id'>;

/** The place of each kind of secret. */
export const placeOf = {
  whapiToken: ({ name }: ChannelKey): Place => ({ table: 'channels', row: name, column: 'whapi_token' }),
  webhookSecret: ({ name }: ChannelKey): Place => ({ table: 'channels', row: name, column: 'webhook_secret' }),
  headers: ({ id }: TargetKey): Place => ({ table: 'targets', row: id, column: 'headers' }),
  secret: ({ id }: TargetKey): Place => ({ table: 'targets', row: id, column: 'secret' }),
  previousSecret: ({ id }: TargetKey): Place => ({ table: 'targets', row: id, column: 'previous_secrets' }),
} as const;

/** Decrypts a secret. @throws GatewayError GW_INTERNAL (it does not open in this place) */
export type OpenSecret = (sealed: Sealed, place: Place) => string;

/** Returns what replaces a secret in its place. */
export type RewriteSecret = (sealed: Sealed, place: Place) => Sealed;

/** A channel with each of its secrets replaced. */
export function rewriteChannel(channel: Channel, rewrite: RewriteSecret): Channel {
  return {
    ...channel,
    whapiToken: rewrite(channel.whapiToken, placeOf.whapiToken(channel)),
    webhookSecret: rewrite(channel.webhookSecret, placeOf.webhookSecret(channel)),
  };
}

/** A target with each of its secrets replaced. */
export function rewriteTarget(target: Target, rewrite: RewriteSecret): Target {
  return {
    ...target,
    headers: rewrite(target.headers, placeOf.headers(target)),
    secret: rewrite(target.secret, placeOf.secret(target)),
    previousSecrets: target.previousSecrets.map(({ secret, expiresAt }) => ({
      secret: rewrite(secret, placeOf.previousSecret(target)),
      expiresAt,
    })),
  };
}

/** A place in words: `webhook_secret of channel "shop"`. */
export function placeName({ table, row, column }: Place): string {
  return `${column} of ${table === 'channels' ? 'channel' : 'target'} "${row}"`;
}
