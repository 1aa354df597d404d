import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from './config.js';
import type { Effects } from './effects.js';
import { StartError } from './errors.js';
import { ENCRYPTION_KEY_BYTES } from './vault.js';

export interface Keys {
  readonly adminToken: string;
  readonly encryptionKey: Buffer;
  /** Files that this start has made, to be told to the user: never their contents. */
  readonly made: readonly string[];
  /** Where the admin token can be read; null where the environment gave it. */
  readonly adminTokenFile: string | null;
}

/**
 * The admin token and the encryption key: from the environment, else from the files beside the SQLite file, which are
 * made at the first start. @throws StartError GW_STORE_UNUSABLE
 */
export function loadKeys(config: Config, effects: Pick<Effects, 'randomBytes'>): Keys {
  const made: string[] = [];
  const beside = (name: string, fresh: () => string): string => {
    if (config.store.engine !== 'sqlite')
      throw new StartError('GW_BAD_CONFIG', `${name} has to be in the environment.`);
    const file = join(dirname(config.store.file), name);
    const { text, isNew } = readOrMake(file, fresh);
    if (isNew) made.push(file);
    return text;
  };
  const adminToken = config.adminToken ?? beside('admin-token', () => effects.randomBytes(24).toString('base64url'));
  const encryptionKey =
    config.encryptionKey ??
    Buffer.from(
      beside('encryption-key', () => effects.randomBytes(ENCRYPTION_KEY_BYTES).toString('base64')),
      'base64',
    );
  if (encryptionKey.length !== ENCRYPTION_KEY_BYTES) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `The file encryption-key beside the database is damaged. Restore it from a backup.`,
    );
  }
  const adminTokenFile =
    config.adminToken === null && config.store.engine === 'sqlite'
      ? join(dirname(config.store.file), 'admin-token')
      : null;
  return { adminToken, encryptionKey, made, adminTokenFile };
}

function readOrMake(file: string, fresh: () => string): { text: string; isNew: boolean } {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const text = fresh();
    // wx: never over a file that is there, even when two processes start at once.
    writeFileSync(file, `${text}\n`, { mode: 0o600, flag: 'wx' });
    return { text, isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return { text: existing(file), isNew: false };
    throw new StartError('GW_STORE_UNUSABLE', `${file} cannot be written: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function existing(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new StartError('GW_STORE_UNUSABLE', `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (text === '')
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `${file} is empty. Restore it from a backup, or remove it to have it made anew.`,
    );
  return text;
}
