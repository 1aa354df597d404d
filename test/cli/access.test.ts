import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chosenGateway } from '../../src/cli/access.js';
import type { GatewayOptions } from '../../src/cli/access.js';
import { writeProfile } from '../../src/cli/profiles.js';
import { systemEffects } from '../../src/effects.js';
import { temporaryFolder } from '../support/files.js';

const FILE = 'FILE';
const SET = { GATEWAY_URL: 'http://set', ADMIN_TOKEN: 'set' };

/** What is chosen where the profiles "default" and "shop" exist; FILE stands for a file with the token `file`. */
function chosen(options: GatewayOptions, more: Record<string, string>): string {
  const folder = temporaryFolder();
  const file = join(folder, 'token');
  writeFileSync(file, 'file\n');
  const env = { HOME: folder, DATABASE_URL: `sqlite:${folder}/gateway.db`, ...more };
  writeFileSync(join(folder, 'admin-token'), 'local\n');
  for (const name of ['default', 'shop'])
    writeProfile(env, name, { gateway: `http://${name}`, token: name }, systemEffects);
  const { url, token } = chosenGateway({ ...options, ...(options.tokenFile === FILE && { tokenFile: file }) }, env);
  return `${url} ${token()}`;
}

describe('a command talks to the gateway', () => {
  it.each<[GatewayOptions, Record<string, string>, string]>([
    [{ gateway: 'http://option', tokenFile: FILE }, { ...SET, GATEWAY_PROFILE: 'shop' }, 'http://option file'],
    [{ gateway: 'http://option' }, { ADMIN_TOKEN: 'set', GATEWAY_PROFILE: 'shop' }, 'http://option set'],
    [{ gateway: 'http://shop' }, { GATEWAY_PROFILE: 'shop' }, 'http://shop local'],
    [{ tokenFile: FILE }, { GATEWAY_PROFILE: 'shop' }, 'http://127.0.0.1:8080 file'],
    [{ profile: 'shop' }, SET, 'http://shop shop'],
    [{ profile: 'shop' }, { GATEWAY_PROFILE: 'default' }, 'http://shop shop'],
    [{}, { ...SET, GATEWAY_PROFILE: 'shop' }, 'http://shop shop'],
    [{}, SET, 'http://set set'],
    [{}, { GATEWAY_URL: 'http://set' }, 'http://set local'],
    [{}, { ADMIN_TOKEN: 'set' }, 'http://127.0.0.1:8080 set'],
    [{}, {}, 'http://default default'],
  ])('with %j in the environment %j: %s', (options, env, expected) => {
    expect(chosen(options, env)).toBe(expected);
  });

  it('of a profile or of options, not of both', () => {
    expect(() => chosen({ profile: 'shop', gateway: 'http://other' }, {})).toThrow('either --profile, or --gateway');
    expect(() => chosen({ profile: 'shop', tokenFile: FILE }, {})).toThrow('either --profile, or --gateway');
  });
});
