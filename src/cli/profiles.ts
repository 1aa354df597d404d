import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Effects } from '../effects.js';
import { CommandError, errorText, StartError, usageError } from '../errors.js';
import { isRecord } from '../json.js';
import { readPrivate } from '../key-file.js';
import { PRIVATE_FOLDER, replace, writePrivate } from '../private-files.js';
import { COMMAND, PROGRAM_NAME } from '../program-name.js';
import { quoted } from '../quoted.js';
import { gatewayUrl } from './api.js';
import { faultOf } from './secrets.js';
import type { Terminal } from './terminal.js';

/** A gateway that `login` has saved. URL and token belong together: the token goes to no other URL. */
export interface Profile {
  readonly gateway: string;
  readonly token: string;
}

type Environment = Terminal['env'];

/** The profile of a `login` without a name. */
export const DEFAULT_PROFILE = 'default';
const NAME_FORM = /^[A-Za-z0-9][\w.-]{0,63}$/;
const ENDING = '.json';

/** @param source of the name, such as --profile. @throws CommandError (not a name; it would become the name of a file) */
export function checkedName(name: string, source: string): string {
  if (NAME_FORM.test(name)) return name;
  throw usageError(
    `Invalid ${source} ${quoted(name)}: expected a letter or digit, then up to 63 letters, digits, ".", "_" or "-", for example shop.`,
  );
}

/** The folder with a file for each profile; null where the environment names no home. */
function folderOf(env: Environment): string | null {
  const config = env['XDG_CONFIG_HOME'] ?? '';
  if (isAbsolute(config)) return join(config, COMMAND);
  const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
  return home === '' ? null : join(home, '.config', COMMAND);
}

/**
 * A profile; null if there is none of this name.
 * @throws CommandError GW_NO_ADMIN_TOKEN (unreadable or damaged, or other users may read it), which does not repeat the token
 */
export function readProfile(env: Environment, name: string): Profile | null {
  const folder = folderOf(env);
  if (folder === null) return null;
  const file = join(folder, name + ENDING);
  const read = explained(() => readPrivate(file));
  if (read === null) return null;
  const profile = read.isTooLong ? null : parsed(read.text);
  if (profile !== null) return profile;
  throw new CommandError(
    'GW_NO_ADMIN_TOKEN',
    `${file} is not a valid profile. To write it anew: ${PROGRAM_NAME} login --profile ${name}`,
  );
}

function parsed(text: string): Profile | null {
  try {
    const profile: unknown = JSON.parse(text);
    if (!isRecord(profile)) return null;
    const { gateway, token } = profile;
    if (typeof gateway !== 'string' || typeof token !== 'string' || faultOf(token) !== null) return null;
    return { gateway: gatewayUrl(gateway, {}), token };
  } catch {
    return null;
  }
}

/** The same, of a profile that was asked for by name. @throws CommandError (also: there is none) */
export function namedProfile(env: Environment, name: string): Profile {
  return readProfile(env, name) ?? missing(env, name);
}

function missing(env: Environment, name: string): never {
  const names = profileNames(env);
  const known = names.length === 0 ? 'There are none' : `Profiles: ${names.join(', ')}`;
  throw usageError(`No profile ${quoted(name)}. ${known}. To save one: ${PROGRAM_NAME} login --profile <name>`);
}

/** Saves a profile in the place of one with the same name, and returns its file. @throws CommandError */
export function writeProfile(
  env: Environment,
  name: string,
  profile: Profile,
  effects: Pick<Effects, 'randomBytes'>,
): string {
  const folder = folderOf(env);
  if (folder === null) {
    throw usageError('No place for profiles: set HOME or XDG_CONFIG_HOME (for example HOME=/home/you).');
  }
  const file = join(folder, name + ENDING);
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER });
    chmodSync(folder, PRIVATE_FOLDER); // it may have existed
    writePrivate(file, `${JSON.stringify(profile)}\n`, replace, effects);
  } catch (error) {
    throw usageError(`Cannot write ${file}: ${errorText(error)}. Check the permissions of its folder.`);
  }
  return file;
}

/** @throws CommandError (there is none, or it cannot be removed) */
export function removeProfile(env: Environment, name: string): void {
  if (!profileNames(env).includes(name)) missing(env, name);
  const file = join(folderOf(env) ?? '', name + ENDING);
  try {
    rmSync(file);
  } catch (error) {
    throw usageError(`Cannot remove ${file}: ${errorText(error)}. Check the permissions of its folder.`);
  }
}

/** In alphabetical order. */
export function profileNames(env: Environment): string[] {
  const folder = folderOf(env);
  if (folder === null) return [];
  try {
    return readdirSync(folder)
      .flatMap((file) => (file.endsWith(ENDING) ? [file.slice(0, -ENDING.length)] : []))
      .filter((name) => NAME_FORM.test(name))
      .sort();
  } catch {
    return []; // no profile has been saved yet
  }
}

/** Errors of a private file as errors of the command. */
function explained<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof StartError) throw new CommandError('GW_NO_ADMIN_TOKEN', error.message);
    throw error;
  }
}
