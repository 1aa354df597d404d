import { constants, existsSync } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { readConfig } from '../config.js';
import type { Config } from '../config.js';
import { freeBytesFor } from '../disk.js';
import { diskCheck } from '../doctor/policy.js';
import type { Check } from '../doctor/policy.js';
import { StartError } from '../errors.js';
import { faultsOfKeyFiles, keyFileOf } from '../keyfiles.js';

/** Says in words what is in PostgreSQL; null for another engine. @throws StartError (a start would fail) */
export type Examine = (env: Environment) => Promise<string | null>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Checks what the start of a gateway with this environment depends on. It changes and creates nothing. */
export async function localChecks(env: Environment, examine: Examine): Promise<Check[]> {
  let config: Config;
  try {
    config = readConfig(env);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return [check('configuration', 'fail', `${error.code}: ${error.message}`)];
  }
  const { store: location } = config;
  const store =
    location.engine === 'sqlite' ? await storeChecks(config, location.file) : [await databaseCheck(env, examine)];
  return [check('configuration', 'ok', 'Configuration is valid.'), ...store, await portCheck(config)];
}

function check(name: string, status: Check['status'], message: string, fix: string | null = null): Check {
  return { name, subject: name, status, message, fix };
}

async function databaseCheck(env: Environment, examine: Examine): Promise<Check> {
  try {
    return check('store', 'ok', (await examine(env)) ?? '');
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return check('store', 'fail', `${error.code}: ${error.message}`);
  }
}

async function storeChecks(config: Config, file: string): Promise<Check[]> {
  const folder = dirname(file);
  if (!(await may(folder, constants.F_OK))) {
    return [check('store', 'ok', `${file} does not exist yet; the first start creates it.`)];
  }
  if (!(await may(folder, constants.W_OK))) {
    return [
      check(
        'store',
        'fail',
        `Cannot write to ${folder}.`,
        'Check the permissions of the folder and the user that starts the gateway.',
      ),
    ];
  }
  const free = await freeBytesFor(config.store);
  const disk = free === null ? [] : [diskCheck(free)];
  if (!(await may(file, constants.F_OK))) {
    const store = check('store', 'ok', `${file} does not exist yet; the first start creates it.`);
    return [store, ...keyChecks(config, false), ...disk];
  }
  return [await fileCheck(file), ...keyChecks(config, true), ...disk];
}

const SQLITE = 'SQLite format 3\0';

async function fileCheck(file: string): Promise<Check> {
  if (!(await may(file, constants.R_OK | constants.W_OK))) {
    return check(
      'store',
      'fail',
      `Cannot read and write ${file}.`,
      'Check its permissions and the user that starts the gateway.',
    );
  }
  const handle = await open(file, 'r');
  const { buffer } = await handle
    .read(Buffer.alloc(SQLITE.length), 0, SQLITE.length, 0)
    .finally(async () => await handle.close());
  if (buffer.toString('latin1') === SQLITE) return check('store', 'ok', `${file} is a SQLite database.`);
  return check('store', 'fail', `${file} is not a SQLite database.`, 'Move it away, or restore a backup.');
}

/** Without the key, the encrypted tokens and secrets in the database are lost. */
function keyChecks(config: Config, isDatabaseThere: boolean): Check[] {
  const checks = faultsOfKeyFiles(config).map(({ name, error }) =>
    check(name, 'fail', `${error.code}: ${error.message}`),
  );
  const file = config.encryptionKey === null ? keyFileOf(config) : null;
  if (file === null || existsSync(file) || !isDatabaseThere) return checks;
  const fix = 'Restore it from a backup, or set ENCRYPTION_KEY to the key that the database was created with.';
  const lost = `Cannot read ${file}, and tokens and secrets cannot be decrypted without it.`;
  return [...checks, check('encryption_key', 'fail', lost, fix)];
}

async function portCheck({ host, port }: Config): Promise<Check> {
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    const server = createServer()
      .once('error', resolve)
      .listen(port, host, () => void server.close(() => resolve(null)));
  });
  if (error === null) return check('port', 'ok', `${host}:${port} is free.`);
  if (error.code !== 'EADDRINUSE')
    return check('port', 'fail', `Cannot listen on ${host}:${port} (${error.code ?? ''}).`, 'Set HOST and PORT.');
  const fix =
    'If the gateway uses it, give its URL with --gateway. Otherwise stop the other process, or set PORT (for example 8081).';
  return check('port', 'fail', `${host}:${port} is already in use.`, fix);
}

async function may(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}
