import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from './config.js';
import type { Effects } from './effects.js';
import { StartError } from './errors.js';
import { ENCRYPTION_KEY_BYTES } from './encryption.js';

export interface Keys {
  readonly adminToken: string;
  readonly encryptionKey: Buffer;
  /** Files that this start created. Logs name them, never their contents. */
  readonly made: readonly string[];
  /** Where the admin token can be read; null where the environment gave it. */
  readonly adminTokenFile: string | null;
}

/**
 * Reads the admin token and the encryption key from the environment, else from the files beside the SQLite file, which
 * the first start creates. Only the process that holds the store's lock may call it. `isKeyInUse`: the store already
 * holds secrets under a key, so a new key could not decrypt them. @throws StartError GW_STORE_UNUSABLE, GW_WRONG_KEY
 */
export function loadKeys(config: Config, effects: Pick<Effects, 'randomBytes'>, isKeyInUse: boolean): Keys {
  const made: string[] = [];
  const beside = (name: string, fresh: () => string): string => {
    if (config.store.engine !== 'sqlite')
      throw new StartError('GW_BAD_CONFIG', `${name} must be set in the environment.`);
    const file = join(dirname(config.store.file), name);
    const { text, isNew } = readOrMake(file, fresh);
    if (isNew) made.push(file);
    return text;
  };
  const adminToken = config.adminToken ?? beside('admin-token', () => effects.randomBytes(24).toString('base64url'));
  if (config.encryptionKey === null && isKeyInUse) mustHaveKeyFile(config);
  const encryptionKey =
    config.encryptionKey ??
    Buffer.from(
      beside('encryption-key', () => effects.randomBytes(ENCRYPTION_KEY_BYTES).toString('base64')),
      'base64',
    );
  if (encryptionKey.length !== ENCRYPTION_KEY_BYTES) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      'The file encryption-key beside the database is damaged: it does not hold 32 bytes in base64. Restore it from a backup.',
    );
  }
  const adminTokenFile =
    config.adminToken === null && config.store.engine === 'sqlite'
      ? join(dirname(config.store.file), 'admin-token')
      : null;
  return { adminToken, encryptionKey, made, adminTokenFile };
}

function mustHaveKeyFile({ store }: Config): void {
  const file = store.engine === 'sqlite' ? join(dirname(store.file), 'encryption-key') : '';
  if (existsSync(file)) return;
  throw new StartError(
    'GW_WRONG_KEY',
    `${file} is missing, and the database holds secrets that only this key decrypts. Restore the file from a backup, or set ` +
      'ENCRYPTION_KEY. Nothing was changed.',
  );
}

function readOrMake(file: string, fresh: () => string): { text: string; isNew: boolean } {
  if (existsSync(file)) return { text: existing(file), isNew: false };
  const text = fresh();
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeWhole(file, `${text}\n`);
    return { text, isNew: true };
  } catch (error) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `Cannot write ${file}: ${(error as Error).message}. Check the permissions of its folder.`,
      {
        cause: error,
      },
    );
  }
}

/** Writes the file atomically and durably: half a key would look like a damaged one. */
function writeWhole(file: string, text: string): void {
  const unfinished = `${file}.unfinished`;
  try {
    const handle = openSync(unfinished, 'w', 0o600);
    try {
      writeFileSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true, recursive: true });
    throw error;
  }
}

function existing(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `Cannot read ${file}: ${(error as Error).message}. Check its permissions.`,
      { cause: error },
    );
  }
  if (text === '')
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `${file} is empty. Restore it from a backup, or remove it so that the gateway makes a new one.`,
    );
  return text;
}
