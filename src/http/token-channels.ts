import type { Channel, Sealed } from '../model.js';
import { digestOf } from './auth.js';
import type { Registry } from '../store/registry.js';

/**
 * Finds a channel by its Whapi token, which the store holds encrypted. Tokens are compared by digest, so that timing does not
 * reveal how much of a guess was right. If channels share a token, the first by name wins.
 */
export function channelsByToken(
  store: { readonly registry: Pick<Registry, 'channel' | 'channels'> },
  openSecret: (sealed: Sealed) => string,
): (token: string) => Promise<Channel | null> {
  let names = new Map<string, string>();
  let digests = new Map<Sealed, string>();

  /** The channel that had this token when the map was built, if it still has it. */
  const cached = async (digest: string): Promise<Channel | null> => {
    const name = names.get(digest);
    const channel = name === undefined ? null : await store.registry.channel(name);
    return channel && digests.get(channel.whapiToken) === digest ? channel : null;
  };

  const reload = async (): Promise<void> => {
    const channels = await store.registry.channels();
    // Decryption costs more than all the rest, so known tokens are not decrypted again.
    digests = new Map(
      channels.map(({ whapiToken }) => [whapiToken, digests.get(whapiToken) ?? digestKey(openSecret(whapiToken))]),
    );
    names = new Map(
      [...channels].reverse().map(({ name, whapiToken }) => [digests.get(whapiToken) ?? '', name] as const),
    );
  };

  return async (token) => {
    const digest = digestKey(token);
    const channel = await cached(digest);
    if (channel) return channel;
    await reload();
    return await cached(digest);
  };
}

function digestKey(token: string): string {
  return digestOf(token).toString('latin1');
}
