import type { Command } from 'commander';
import { CommandError, usageError } from '../errors.js';
import { profileInUse, profileToChange } from './access.js';
import { createApi, gatewayUrl } from './api.js';
import { DEFAULT_PROFILE, profileNames, readProfile, removeProfile, writeProfile } from './profiles.js';
import { startPrompt } from './prompt.js';
import { checkedSecret, secretFrom } from './secrets.js';
import { addCommand, NAME } from './session.js';
import type { GlobalOptions, Run, Session } from './session.js';
import { table } from './terminal.js';
import type { Terminal } from './terminal.js';

/** `login`, `logout`, `profiles`. */
export function loginCommands(program: Command, run: Run): void {
  addCommand(
    program,
    'login',
    "Save a gateway's URL and admin token in a profile. Asks for what no option gives; checks both first",
    [
      'login',
      'login --profile shop --gateway https://gateway.example.com',
      '$ pass gateway/shop | whapi-resync-gateway login --profile shop --gateway https://gateway.example.com --token-file -',
      'channels list --profile shop',
    ],
  ).action(run(login));
  addCommand(program, 'logout', 'Remove a profile', ['logout', 'logout --profile shop']).action(run(logout));
  addCommand(program, 'profiles', 'List the profiles', ['profiles', 'profiles --json']).action(run(list));
}

async function login({ terminal, global, show }: Session): Promise<undefined> {
  const profile = profileToChange(global.profile, terminal.env);
  const { gateway, token } = await answers(global, profile, terminal);
  const advice =
    'Nothing was saved. The token is ADMIN_TOKEN of the gateway, or in the file admin-token of its database folder.';
  await createApi({ url: gateway, token, advice }, terminal.signal).call('GET', '/v1/channels?limit=1');
  const file = writeProfile(terminal.env, profile, { gateway, token }, terminal.effects);
  show(
    { profile, gateway, file },
    `Logged in to ${gateway}. Profile ${profile} saved: ${file}\n${usageOf(profile, terminal)}`,
  );
  return;
}

/** From the options, else from the person at the terminal. @throws CommandError */
async function answers(
  { gateway, tokenFile }: GlobalOptions,
  profile: string,
  terminal: Terminal,
): Promise<{ gateway: string; token: string }> {
  const { env, stdin } = terminal;
  const isAsked = stdin.isTTY === true;
  if (!isAsked && tokenFile === undefined) {
    throw usageError(
      'Missing admin token: name its file (for example --token-file admin-token; - reads standard input).',
    );
  }
  const prompt = isAsked ? startPrompt(terminal) : null;
  try {
    const usual = savedUrl(profile, env) ?? gatewayUrl(undefined, env);
    const given = gateway ?? (await prompt?.line(`URL of the gateway [${usual}]: `)) ?? '';
    const url = gatewayUrl(given === '' ? usual : given, env);
    const text =
      prompt !== null && (tokenFile === undefined || tokenFile === '-')
        ? await prompt.secret('Admin token (not shown): ')
        : await secretFrom(tokenFile ?? '-', '--token-file', terminal);
    return { gateway: url, token: checkedSecret(text, 'admin token') };
  } finally {
    prompt?.end();
  }
}

/** Null also for a profile that cannot be read: the login replaces it. */
function savedUrl(profile: string, env: Terminal['env']): string | null {
  try {
    return readProfile(env, profile)?.gateway ?? null;
  } catch (error) {
    if (error instanceof CommandError) return null;
    throw error;
  }
}

function usageOf(profile: string, { env }: Terminal): string {
  if (profileInUse(undefined, env) === profile) return 'Commands use it from now on.\n';
  if (profile === DEFAULT_PROFILE) return 'Commands do not use it while GATEWAY_URL or ADMIN_TOKEN is set.\n';
  return `To use it: ${NAME} channels list --profile ${profile}, or set GATEWAY_PROFILE=${profile}\n`;
}

function logout({ terminal, global, show }: Session): undefined {
  const profile = profileToChange(global.profile, terminal.env);
  removeProfile(terminal.env, profile);
  show({ removed: profile }, `Profile ${profile} removed. Its token stays valid until you change it at the gateway.\n`);
  return;
}

interface ListedProfile {
  readonly profile: string;
  /** Null: the file cannot be used. */
  readonly gateway: string | null;
  /** Commands without --gateway, --token-file and --profile use it. */
  readonly in_use: boolean;
  readonly error: string | null;
}

function list({ terminal, show }: Session): undefined {
  const used = profileInUse(undefined, terminal.env);
  const profiles = profileNames(terminal.env).map((name) => listed(name, name === used, terminal.env));
  const rows = profiles.map(({ profile, gateway, in_use: inUse, error }) => [
    profile,
    gateway ?? error ?? '',
    inUse ? 'yes' : 'no',
  ]);
  const none = `No profiles yet. To save one: ${NAME} login --profile <name>\n`;
  show(profiles, rows.length === 0 ? none : table(['PROFILE', 'GATEWAY', 'IN USE'], rows, terminal.columns()));
  return;
}

function listed(profile: string, isInUse: boolean, env: Terminal['env']): ListedProfile {
  try {
    return { profile, gateway: readProfile(env, profile)?.gateway ?? null, in_use: isInUse, error: null };
  } catch (error) {
    if (error instanceof CommandError) return { profile, gateway: null, in_use: isInUse, error: error.message };
    throw error;
  }
}
