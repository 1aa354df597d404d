import { usageError } from '../errors.js';
import { PROGRAM_NAME } from '../program-name.js';
import { adminToken, gatewayUrl } from './api.js';
import { checkedName, DEFAULT_PROFILE, namedProfile, readProfile } from './profiles.js';
import type { Profile } from './profiles.js';
import type { Terminal } from './terminal.js';

type Environment = Terminal['env'];

/** Options that say which gateway a command talks to. */
export interface GatewayOptions {
  readonly gateway?: string;
  readonly tokenFile?: string;
  readonly profile?: string;
}

/** The gateway of a command. */
export interface ChosenGateway {
  readonly url: string;
  /** @throws CommandError (there is no admin token) */
  readonly token: () => string;
  /** What to do if the gateway refuses the token. */
  readonly advice: string;
}

/**
 * The gateway that a command talks to: that of `--gateway` and `--token-file`, else of `--profile`, else of
 * GATEWAY_PROFILE, else of GATEWAY_URL and ADMIN_TOKEN, else of the profile "default", else the one of this folder. A
 * profile is taken as a whole or not at all, so that its token never goes to another URL. @throws CommandError
 */
export function chosenGateway(options: GatewayOptions, env: Environment): ChosenGateway {
  const isDirect = options.gateway !== undefined || options.tokenFile !== undefined;
  if (isDirect && options.profile !== undefined) {
    throw usageError('A profile has a URL and a token: give either --profile, or --gateway and --token-file.');
  }
  const name = isDirect ? null : profileInUse(options.profile, env);
  if (name === null) return direct(options, env);
  const profile = readProfileOf(name, options.profile, env);
  return profile === null ? direct(options, env) : fromProfile(name, profile);
}

/** The profile that commands without --gateway and --token-file use if it exists; null: none. */
export function profileInUse(option: string | undefined, env: Environment): string | null {
  const named = namedIn(option, env);
  if (named !== null) return named;
  return env['GATEWAY_URL']?.trim() || env['ADMIN_TOKEN']?.trim() ? null : DEFAULT_PROFILE;
}

/** The profile that `login` and `logout` are about. @throws CommandError (an invalid name) */
export function profileToChange(option: string | undefined, env: Environment): string {
  return namedIn(option, env) ?? DEFAULT_PROFILE;
}

function namedIn(option: string | undefined, env: Environment): string | null {
  if (option !== undefined) return checkedName(option, '--profile');
  const named = env['GATEWAY_PROFILE']?.trim() ?? '';
  return named === '' ? null : checkedName(named, 'GATEWAY_PROFILE');
}

/** Only the profile "default" may be missing, unless it was asked for by name. */
function readProfileOf(name: string, option: string | undefined, env: Environment): Profile | null {
  return namedIn(option, env) === null ? readProfile(env, name) : namedProfile(env, name);
}

function direct({ gateway, tokenFile }: GatewayOptions, env: Environment): ChosenGateway {
  return {
    url: gatewayUrl(gateway, env),
    token: () => adminToken(tokenFile, env),
    advice: 'Check ADMIN_TOKEN, or name the token file with --token-file.',
  };
}

function fromProfile(name: string, { gateway, token }: Profile): ChosenGateway {
  return { url: gateway, token: () => token, advice: `To log in again: ${PROGRAM_NAME} login --profile ${name}` };
}
