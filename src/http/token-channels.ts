import type { Channel, Sealed } from '../model.js';
import { digestOf } from './auth.js';
import type { Registry } from '../store/registry.js';

/**
 * Finds a channel by its Whapi token, which the store has sealed only. Tokens are compared by their digests, so that no
 * time tells how much of a guess was right. Where channels share a token, the first of them by name is given.
 */
export function channelsByToken(
  store: { readonly registry: Pick<Registry, 'channel' | 'channels'> },
  openSecret: (sealed: Sealed) => string,
): (token: string) => Promise<Channel | null> {
  let names = new Map<string, string>();
  let digests = new Map<Sealed, string>();

  /** The channel that had this token when the map was made, if it has it still. */
  const known = async (digest: string): Promise<Channel | null> => {
    const name = names.get(digest);
    const channel = name === undefined ? null : await store.registry.channel(name);
    return channel && digests.get(channel.whapiToken) === digest ? channel : null;
  };

  const readAnew = async (): Promise<void> => {
    const channels = await store.registry.channels();
    // Opening a secret costs more than all the rest: those that are known already are not opened again.
    digests = new Map(
      channels.map(({ whapiToken }) => [whapiToken, digests.get(whapiToken) ?? withoutPadding(openSecret(whapiToken))]),
    );
    names = new Map(
      [...channels].reverse().map(({ name, whapiToken }) => [digests.get(whapiToken) ?? '', name] as const),
    );
  };

  return async (token) => {
    const digest = withoutPadding(token);
    const channel = await known(digest);
    if (channel) return channel;
    await readAnew();
    return await known(digest);
  };
}

function withoutPadding(token: string): string {
  return digestOf(token).toString('latin1');
}
