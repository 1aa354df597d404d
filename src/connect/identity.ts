import type { Channel } from '../model.js';
import type { Registry } from '../store/registry.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';
import type { Identity } from './policy.js';

export interface IdentityOptions {
  readonly store: { readonly registry: Pick<Registry, 'connection'> };
  readonly openSecret: OpenSecret;
}

/** The URL that Whapi sends a channel's webhooks to. `publicUrl`: where Whapi reaches this gateway. */
export function webhookUrlAt(publicUrl: string, channel: string): string {
  return `${publicUrl}/webhooks/${channel}`;
}

/** How to recognize the gateway's webhook of a channel: by its URL now, its URL at the last connect, and its secret. */
export async function identityOf(
  { name, webhookSecret }: Channel,
  publicUrl: string | null,
  { store, openSecret }: IdentityOptions,
): Promise<Identity> {
  const current = publicUrl === null ? null : webhookUrlAt(publicUrl, name);
  const connected = (await store.registry.connection(name))?.webhookUrl ?? null;
  return {
    urls: [current, connected].filter((url) => url !== null),
    secret: openSecret(webhookSecret, placeOf.webhookSecret({ name })),
  };
}
