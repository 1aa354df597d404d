import type { Effects } from './effects.js';
import { createEncryption } from './encryption.js';
import type { Encryption } from './encryption.js';
import { StartError } from './errors.js';
import { placeName, rewriteChannel, rewriteTarget } from './secret-places.js';
import type { RewriteSecret } from './secret-places.js';
import type { Store } from './store/store.js';

/** Where the store keeps the fingerprint of the key that its secrets are encrypted with. */
const KEY_FINGERPRINT = 'encryption_key_fingerprint';
/** `1`: some secrets may not be bound to their place yet. A migration stores it; the first start after it ends that. */
const SECRETS_VERSION = 'secrets_version';

type SecretsStore = Pick<Store, 'upkeep' | 'registry'>;

/** The fingerprint of the key that the store was used with; null: none, so that any key will do. */
export async function storedFingerprint({ upkeep }: Pick<Store, 'upkeep'>): Promise<string | null> {
  return await upkeep.pinned(KEY_FINGERPRINT);
}

/** The same in values that the store has pinned. */
export function fingerprintIn(values: ReadonlyMap<string, string>): string | null {
  return values.get(KEY_FINGERPRINT) ?? null;
}

/**
 * The encryption under `key` (32 bytes), checked against what the store holds. A wrong key fails the start: otherwise
 * the first webhook would find out. Secrets of earlier versions are sealed anew, in one transaction.
 * @throws StartError GW_WRONG_KEY
 */
export async function unlockStoredSecrets(
  { upkeep }: SecretsStore,
  key: Buffer,
  effects: Pick<Effects, 'randomBytes'>,
): Promise<Encryption> {
  const encryption = createEncryption(key, effects);
  if ((await upkeep.pin(KEY_FINGERPRINT, encryption.fingerprint)) !== encryption.fingerprint) {
    throw wrongKey();
  }
  // Only once: after that, what is bound to no place is refused like anything else that was moved.
  if ((await upkeep.pinned(SECRETS_VERSION)) === '1') {
    await upkeep.rewriteSecrets(encryption.bind, { [SECRETS_VERSION]: '2' });
  }
  return encryption;
}

export function wrongKey(): StartError {
  return new StartError(
    'GW_WRONG_KEY',
    'The encryption key does not match the database. Set ENCRYPTION_KEY to the key that its secrets are encrypted with, or ' +
      'put that key into the file encryption-key beside the SQLite file. All replicas on one PostgreSQL need the same key.',
  );
}

/** The secrets that do not open, in words: `webhook_secret of channel "shop"`. */
export async function unreadableSecrets({ registry }: SecretsStore, { open }: Encryption): Promise<string[]> {
  const found: string[] = [];
  const check: RewriteSecret = (sealed, place) => {
    try {
      open(sealed, place);
    } catch {
      found.push(placeName(place));
    }
    return sealed;
  };
  for (const channel of await registry.channels()) rewriteChannel(channel, check);
  for (const target of await registry.targets()) rewriteTarget(target, check);
  return found;
}

/** Seals every secret under another key, in one transaction. @throws GatewayError (a secret does not open under `from`) */
export async function reencryptSecrets({ upkeep }: SecretsStore, from: Encryption, to: Encryption): Promise<void> {
  await upkeep.rewriteSecrets((sealed, place) => to.seal(from.open(sealed, place), place), {
    [KEY_FINGERPRINT]: to.fingerprint,
  });
}
