import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { readConfig, readMigration, readNewEncryptionKey, readStoreLocation } from './config.js';
import type { Config } from './config.js';
import type { Effects } from './effects.js';
import { createEncryption, ENCRYPTION_KEY_BYTES, fingerprintOf } from './encryption.js';
import { GatewayRunsError, noDatabase, StartError } from './errors.js';
import { keyFileOf, loadEncryptionKey, stageKeyFile, stampOf, switchKeyFile } from './keyfiles.js';
import { placeOfPostgres } from './postgres-url.js';
import { counted } from './quantities.js';
import { backupStore, carryOverStore, examineStore, openStore, restoreStore, sqliteFile } from './store/open.js';
import type { CarryOverOptions } from './store/carry-over.js';
import type { Store } from './store/store.js';
import type { DatabaseSummary } from './store/copies.js';
import {
  fingerprintIn,
  reencryptSecrets,
  storedFingerprint,
  unlockStoredSecrets,
  unreadableSecrets,
  wrongKey,
} from './stored-secrets.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The outcome of `backup`. */
export interface BackupReport {
  readonly file: string;
  readonly bytes: number;
  readonly schema_version: number;
  readonly channels: number;
  readonly targets: number;
  /** The key file that the backup does not hold; null: the environment gives the key. */
  readonly key_file: string | null;
}

/** The outcome of `restore`. */
export interface RestoreReport extends Omit<BackupReport, 'file'> {
  readonly database: string;
  readonly restored_from: string;
  /** Where the database that was there before is now. */
  readonly kept_as: string | null;
  /** Whether the present key decrypts the secrets of the restored database. */
  readonly key: 'ok' | 'missing' | 'wrong';
}

/** The outcome of `rekey`. */
export interface RekeyReport {
  /** The file with the new key; null: the environment has to give it. */
  readonly key_file: string | null;
  /** Where the old key is now; backups from before need it. */
  readonly old_key_file: string | null;
}

/** The outcome of `migrate`. */
export interface MigrateReport {
  /** The SQLite file, unchanged. */
  readonly from: string;
  /** Host and name of the PostgreSQL database. */
  readonly to: string;
  readonly schema_version: number;
  /** Rows that were carried over and compared, by PostgreSQL's tables. */
  readonly rows: Readonly<Record<string, number>>;
  /** It continued where an earlier run was interrupted. */
  readonly resumed: boolean;
  /** Whether ENCRYPTION_KEY, or the key file beside the SQLite file, opens the secrets, which were carried over encrypted. */
  readonly key: 'ok' | 'missing' | 'wrong';
  /** The file with the key that the replicas need as ENCRYPTION_KEY; null: the environment gives it. */
  readonly key_file: string | null;
}

/** Writes a checked copy of the database into a new file, also while the gateway runs. @throws StartError, CommandError */
export async function backup(
  env: Environment,
  file: string,
  effects: Effects,
  signal: AbortSignal,
): Promise<BackupReport> {
  sqliteFile(readStoreLocation(env)); // before PostgreSQL's other settings are asked for, which would not help
  const config = readConfig(env);
  const destination = resolve(file);
  const summary = await backupStore(config.store, destination, { effects, signal });
  return { file: destination, ...figuresOf(summary), key_file: fileOfKey(config) };
}

/** Puts a backup in the place of the database of a stopped gateway. @throws StartError; nothing was changed */
export async function restore(env: Environment, file: string, effects: Effects): Promise<RestoreReport> {
  sqliteFile(readStoreLocation(env));
  const config = readConfig(env);
  const from = resolve(file);
  const ending = `.before-restore-${stampOf(effects.now())}`;
  const restored = await whileStopped(() => restoreStore(config.store, from, ending, { effects }));
  return {
    database: config.store.engine === 'sqlite' ? config.store.file : '',
    restored_from: from,
    kept_as: restored.keptAs,
    ...figuresOf(restored),
    key: stateOfKey(config, effects, fingerprintIn(restored.values)),
    key_file: fileOfKey(config),
  };
}

/**
 * Encrypts every secret of a stopped gateway with another key. The new key is on disk before the secrets are changed, and
 * they are changed in one transaction: after a crash at any moment the next start finds a key that fits.
 * @throws StartError
 */
export async function rekey(env: Environment, effects: Effects): Promise<RekeyReport> {
  const config = readConfig(env);
  const file = fileOfKey(config);
  const key = readNewEncryptionKey(env) ?? newKey(file, effects);
  mustExist(config);
  await mustHaveTables(config);
  const store = await whileStopped(async () => await openStore(config.store, effects));
  try {
    await mustBeAlone(store);
    const present = loadEncryptionKey(config, effects, await storedFingerprint(store));
    if (fingerprintOf(present) === fingerprintOf(key)) throw sameKey();
    const from = await unlockStoredSecrets(store, present, effects);
    const unreadable = await unreadableSecrets(store, from);
    if (unreadable.length > 0) throw doesNotOpen(unreadable);
    if (file !== null) stageKeyFile(file, key, effects);
    await reencryptSecrets(store, from, createEncryption(key, effects));
    return { key_file: file, old_key_file: file === null ? null : switchKeyFile(file, effects) };
  } finally {
    await store.close();
  }
}

/**
 * Carries everything from the SQLite file of a stopped gateway into an empty PostgreSQL database, and compares both. After an
 * interruption the same command continues. @throws StartError, GatewayError, CommandError; the SQLite file is unchanged
 */
export async function migrate(
  env: Environment,
  options: { readonly from: string | undefined; readonly to: string | undefined },
  effects: Effects,
  carrying: CarryOverOptions,
): Promise<MigrateReport> {
  const { file, location } = readMigration(env, options);
  const config = readConfig({ ...env, DATABASE_URL: `sqlite:${file}` });
  const carried = await whileStopped(async () => await carryOverStore(file, location, effects, carrying));
  const { host, database } = placeOfPostgres(location);
  return {
    from: file,
    to: `${host}/${database}`,
    schema_version: carried.schemaVersion,
    rows: carried.rows,
    resumed: carried.isResumed,
    key: stateOfKey(config, effects, fingerprintIn(carried.values)),
    key_file: fileOfKey(config),
  };
}

/**
 * What a start with PostgreSQL would find, in words; null for another engine. Changes nothing.
 * @throws StartError (a start would fail)
 */
export async function examine(env: Environment): Promise<string | null> {
  const { store, encryptionKey } = readConfig(env);
  const found = await examineStore(store);
  if (found === null) return null;
  const fingerprint = fingerprintIn(found.values);
  if (fingerprint !== null && encryptionKey !== null && fingerprintOf(encryptionKey) !== fingerprint) throw wrongKey();
  return found.words;
}

/** In PostgreSQL nothing locks replicas out, and each keeps the old key. @throws StartError GW_STORE_LOCKED */
async function mustBeAlone({ replicas }: Pick<Store, 'replicas'>): Promise<void> {
  const others = (await replicas.list()).length - 1; // this process is one of them
  if (others <= 0) return;
  const message =
    `This database is in use by ${counted(others, 'replica')}. Stop all of them, then run the command again. A replica that was ` +
    'killed counts for 15 seconds.';
  throw new StartError('GW_STORE_LOCKED', message);
}

/** Without this, a wrong DATABASE_URL would get the tables of a gateway. @throws StartError GW_STORE_UNUSABLE */
async function mustHaveTables({ store }: Config): Promise<void> {
  const found = await examineStore(store);
  if (found?.isEmpty !== true) return;
  throw new StartError('GW_STORE_UNUSABLE', `${found.words} No gateway has used it: check DATABASE_URL.`);
}

/** Opens what a running gateway locks. Its advice for a second gateway would be wrong here. @throws StartError */
async function whileStopped<T>(open: () => T | Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof GatewayRunsError)) throw error;
    const message = `A gateway has ${error.file} open. Stop it, then run the command again.`;
    throw new StartError(error.code, message, { cause: error });
  }
}

function figuresOf({ bytes, schemaVersion, channels, targets }: DatabaseSummary) {
  return { bytes, schema_version: schemaVersion, channels, targets };
}

function fileOfKey(config: Config): string | null {
  return config.encryptionKey === null ? keyFileOf(config) : null;
}

function stateOfKey(config: Config, effects: Effects, fingerprint: string | null): RestoreReport['key'] {
  if (config.encryptionKey === null && fingerprint !== null && !existsSync(keyFileOf(config))) return 'missing';
  if (fingerprint === null) return 'ok'; // there are no secrets yet
  return fingerprintOf(loadEncryptionKey(config, effects, fingerprint)) === fingerprint ? 'ok' : 'wrong';
}

/** @throws StartError GW_BAD_CONFIG (the environment gives the present key, so it has to give the new one as well) */
function newKey(file: string | null, effects: Effects): Buffer {
  if (file !== null) return effects.randomBytes(ENCRYPTION_KEY_BYTES);
  throw new StartError(
    'GW_BAD_CONFIG',
    'NEW_ENCRYPTION_KEY is not set. ENCRYPTION_KEY is in the environment, so set the new key there too. Make one with: ' +
      `openssl rand -base64 ${ENCRYPTION_KEY_BYTES}`,
  );
}

function mustExist({ store }: Config): void {
  if (store.engine !== 'sqlite' || existsSync(store.file)) return;
  throw noDatabase(store.file);
}

function sameKey(): StartError {
  return new StartError('GW_BAD_CONFIG', 'NEW_ENCRYPTION_KEY is the present key. Set another one, or leave it out.');
}

function doesNotOpen(secrets: readonly string[]): StartError {
  return new StartError(
    'GW_WRONG_KEY',
    `The present key does not open ${secrets.join(', ')}. Start the gateway and set it again, then change the key. Nothing was changed.`,
  );
}
