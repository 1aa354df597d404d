import type { Channel, Sealed } from '../model.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';
import { digestOf } from './auth.js';
import type { Registry } from '../store/registry.js';

/**
 * Finds a channel by its Whapi token, which the store holds encrypted. Tokens are compared by digest, so that timing does not
 * reveal how much of a guess was right. If channels share a token, the first by name wins.
 */
export function channelsByToken(
  store: { readonly registry: Pick<Registry, 'channel' | 'latestChannels'> },
  openSecret: OpenSecret,
): (token: string) => Promise<Channel | null> {
  let names = new Map<string, string>();
  let digests = new Map<string, { readonly sealed: Sealed; readonly digest: string }>();

  /** The channel that had this token when the map was built, if it still has it. */
  const cached = async (digest: string): Promise<Channel | null> => {
    const name = names.get(digest);
    const channel = name === undefined ? null : await store.registry.channel(name);
    return channel && digests.get(channel.name)?.sealed === channel.whapiToken ? channel : null;
  };

  const digestFor = ({ name, whapiToken: sealed }: Channel): { sealed: Sealed; digest: string } => {
    const known = digests.get(name);
    if (known?.sealed === sealed) return known;
    try {
      return { sealed, digest: digestKey(openSecret(sealed, placeOf.whapiToken({ name }))) };
    } catch {
      return { sealed, digest: NO_TOKEN }; // the start has logged it; the other channels keep working
    }
  };

  const reload = async (): Promise<void> => {
    const channels = await store.registry.latestChannels();
    // Decryption costs more than all the rest, so known tokens are not decrypted again.
    digests = new Map(channels.map((channel) => [channel.name, digestFor(channel)]));
    names = new Map([...digests].reverse().map(([name, { digest }]) => [digest, name]));
  };

  return async (token) => {
    const digest = digestKey(token);
    const channel = await cached(digest);
    if (channel) return channel;
    await reload();
    return await cached(digest);
  };
}

/** The digest of no token. */
const NO_TOKEN = '';

function digestKey(token: string): string {
  return digestOf(token).toString('latin1');
}
