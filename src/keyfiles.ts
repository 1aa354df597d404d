import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ADMIN_TOKEN_WORDS, isAdminToken } from './config.js';
import type { Config } from './config.js';
import type { Effects } from './effects.js';
import { ENCRYPTION_KEY_BYTES, fingerprintOf, parseKey } from './encryption.js';
import { errorText, StartError } from './errors.js';
import { makeKeyFile, readKeyFile, replaceKeyFile } from './key-file.js';
import type { KeyFile } from './key-file.js';
import { PRIVATE_FOLDER } from './private-files.js';

export interface Keys {
  readonly adminToken: string;
  readonly encryptionKey: Buffer;
  /** Files that this start created. Logs name them, never their contents. */
  readonly made: readonly string[];
  /** Files that other users of the machine may read. */
  readonly readableByOthers: readonly string[];
  /** Where the admin token can be read; null where the environment gave it. */
  readonly adminTokenFile: string | null;
}

type KeyEffects = Pick<Effects, 'randomBytes' | 'now'>;
type KeySettings = Pick<Config, 'store' | 'adminToken' | 'encryptionKey'>;

/** What was found or made on the way. */
interface Findings {
  readonly made: string[];
  readonly readableByOthers: string[];
}

const KEY_FILE = 'encryption-key';
const TOKEN_FILE = 'admin-token';

/**
 * Reads the admin token and the encryption key from the environment, else from the files beside the SQLite file, which
 * the first start creates. Only the process that holds the store's lock may call it. `fingerprint`: of the key that the
 * store already holds secrets under, so that no other key could decrypt them; null: none.
 * @throws StartError GW_STORE_UNUSABLE, GW_WRONG_KEY, GW_UNSAFE_KEY_FILE
 */
export function loadKeys(config: KeySettings, effects: KeyEffects, fingerprint: string | null): Keys {
  const findings: Findings = { made: [], readableByOthers: [] };
  const adminToken = config.adminToken ?? adminTokenIn(beside(config, TOKEN_FILE), effects, findings);
  const encryptionKey =
    config.encryptionKey ?? encryptionKeyIn(beside(config, KEY_FILE), effects, fingerprint, findings);
  const adminTokenFile = config.adminToken === null ? beside(config, TOKEN_FILE) : null;
  return { adminToken, encryptionKey, ...findings, adminTokenFile };
}

/** The key alone, as `loadKeys` reads it. @throws StartError */
export function loadEncryptionKey(config: KeySettings, effects: KeyEffects, fingerprint: string | null): Buffer {
  const findings: Findings = { made: [], readableByOthers: [] };
  return config.encryptionKey ?? encryptionKeyIn(keyFileOf(config), effects, fingerprint, findings);
}

/** What a start refuses in the key files that are there. Makes and changes nothing. */
export function faultsOfKeyFiles(config: KeySettings): { name: string; error: StartError }[] {
  const readToken = (file: string): unknown => checkedToken(file, readKeyFile(file)?.text ?? null);
  const readKey = (file: string): unknown => keyIn(file, readKeyFile(file));
  return [
    ...(config.adminToken === null ? faultIn('admin_token', () => readToken(beside(config, TOKEN_FILE))) : []),
    ...(config.encryptionKey === null ? faultIn('encryption_key', () => readKey(keyFileOf(config))) : []),
  ];
}

function faultIn(name: string, read: () => unknown): { name: string; error: StartError }[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof StartError) return [{ name, error }];
    throw error;
  }
}

/** The file of the encryption key, where the environment does not give the key. @throws StartError GW_BAD_CONFIG */
export function keyFileOf(config: Pick<Config, 'store'>): string {
  return beside(config, KEY_FILE);
}

/**
 * Writes a new key beside the present one. As soon as the store's secrets are encrypted with it, `switchKeyFile` makes it
 * the key; if a crash prevents that, the next `loadKeys` does. @throws StartError
 */
export function stageKeyFile(file: string, key: Buffer, effects: KeyEffects): void {
  const staged = stagedFile(file);
  rmSync(staged, { force: true }); // of a change that failed: nothing is encrypted with it
  makeKeyFile(staged, key.toString('base64'), effects);
}

/** Makes the staged key the key. Returns the name that the old key file is kept under: older backups need it. */
export function switchKeyFile(file: string, effects: KeyEffects): string {
  const keptAs = `${file}.old-${stampOf(effects.now())}`;
  replaceKeyFile(file, stagedFile(file), keptAs);
  return keptAs;
}

function stagedFile(file: string): string {
  return `${file}.new`;
}

/** A moment as part of a file's name: `20260131T120000Z`. */
export function stampOf(now: number): string {
  return new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/** @throws StartError GW_BAD_CONFIG */
function beside({ store }: Pick<Config, 'store'>, name: string): string {
  if (store.engine === 'sqlite') return join(dirname(store.file), name);
  throw new StartError('GW_BAD_CONFIG', `${name} must be set in the environment.`);
}

function adminTokenIn(file: string, effects: KeyEffects, findings: Findings): string {
  return checkedToken(
    file,
    readOrMake(file, () => effects.randomBytes(24).toString('base64url'), effects, findings),
  );
}

function checkedToken<T extends string | null>(file: string, token: T): T {
  if (token === null || isAdminToken(token)) return token;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `${file} does not hold an admin token; expected ${ADMIN_TOKEN_WORDS}, and nothing else. Correct it, or remove it so that ` +
      'the gateway makes a new one.',
  );
}

function encryptionKeyIn(file: string, effects: KeyEffects, fingerprint: string | null, findings: Findings): Buffer {
  if (fingerprint !== null) {
    const key = keyIn(file, readKeyFile(file));
    if (key === null || fingerprintOf(key) !== fingerprint) finishSwitch(file, effects, fingerprint);
    mustHaveKeyFile(file);
  }
  const make = (): string => effects.randomBytes(ENCRYPTION_KEY_BYTES).toString('base64');
  return decoded(file, readOrMake(file, make, effects, findings));
}

/** Ends a change of the key that a crash interrupted between the commit of the secrets and the switch of the files. */
function finishSwitch(file: string, effects: KeyEffects, fingerprint: string): void {
  const staged = stagedFile(file);
  const key = keyIn(staged, readKeyFile(staged));
  if (key !== null && fingerprintOf(key) === fingerprint) switchKeyFile(file, effects);
}

function keyIn(file: string, found: KeyFile | null): Buffer | null {
  return found === null ? null : decoded(file, found.text);
}

function decoded(file: string, text: string): Buffer {
  const key = parseKey(text);
  if (key !== null) return key;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `${file} is damaged: it does not hold ${ENCRYPTION_KEY_BYTES} bytes in base64, and nothing else. Restore it from a backup.`,
  );
}

function mustHaveKeyFile(file: string): void {
  if (readKeyFile(file) !== null) return;
  throw new StartError(
    'GW_WRONG_KEY',
    `${file} is missing, and the database holds secrets that only this key decrypts. Restore the file from a backup, or set ` +
      'ENCRYPTION_KEY. Nothing was changed.',
  );
}

function readOrMake(file: string, fresh: () => string, effects: KeyEffects, findings: Findings): string {
  const found = readKeyFile(file);
  if (found?.isReadableByOthers === true) findings.readableByOthers.push(file);
  if (found !== null) return found.text;
  const text = fresh();
  try {
    mkdirSync(dirname(file), { recursive: true, mode: PRIVATE_FOLDER });
  } catch (error) {
    throw new StartError('GW_STORE_UNUSABLE', `Cannot write ${file}: ${errorText(error)}.`, { cause: error });
  }
  makeKeyFile(file, text, effects);
  findings.made.push(file);
  return text;
}
