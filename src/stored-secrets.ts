import type { Effects } from './effects.js';
import { createEncryption } from './encryption.js';
import type { Encryption } from './encryption.js';
import { StartError } from './errors.js';
import type { Store } from './store/store.js';

/** Where the store keeps the fingerprint of the key that its secrets are encrypted with. */
const KEY_FINGERPRINT = 'encryption_key_fingerprint';

type SecretsStore = Pick<Store, 'upkeep' | 'registry'>;

/** Whether the store was used with an encryption key before, so that a new key could not read it. */
export async function hasStoredSecrets({ upkeep }: SecretsStore): Promise<boolean> {
  return (await upkeep.pinned(KEY_FINGERPRINT)) !== null;
}

/**
 * The encryption under `key` (32 bytes), checked against what the store holds. A wrong key fails the start: otherwise
 * the first webhook would find out. @throws StartError GW_WRONG_KEY
 */
export async function unlockStoredSecrets(
  store: SecretsStore,
  key: Buffer,
  effects: Pick<Effects, 'randomBytes'>,
): Promise<Encryption> {
  const encryption = createEncryption(key, effects);
  if ((await store.upkeep.pin(KEY_FINGERPRINT, encryption.fingerprint)) !== encryption.fingerprint) {
    throw new StartError(
      'GW_WRONG_KEY',
      'The encryption key does not match the database. Set ENCRYPTION_KEY, or the file encryption-key beside the ' +
        'database, to the key that the database was created with.',
    );
  }
  await sealPlainHeaders(store, encryption);
  return encryption;
}

/**
 * Databases up to schema version 3 hold the headers of targets as plain text. A migration cannot seal them: it has no
 * key.
 */
async function sealPlainHeaders({ registry }: SecretsStore, encryption: Encryption): Promise<void> {
  for (const { id, headers } of await registry.targets()) {
    if (!encryption.isSealed(headers)) await registry.changeTarget(id, { headers: encryption.seal(headers) });
  }
}
