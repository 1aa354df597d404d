import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.js';
import { systemEffects } from '../src/effects.js';
import { StartError } from '../src/errors.js';
import { loadKeys } from '../src/keyfiles.js';
import type { Keys } from '../src/keyfiles.js';
import { temporaryFolder } from './support/files.js';

const TOKEN = 'a-token-that-is-long-enough';
const KEY = Buffer.alloc(32, 7).toString('base64');

describe('the first start', () => {
  it('creates both secrets in files that only their owner can read', () => {
    const folder = temporaryFolder();
    const { adminToken, encryptionKey, made, adminTokenFile } = load(folder);
    expect(made).toEqual([join(folder, 'admin-token'), join(folder, 'encryption-key')]);
    for (const file of made) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, 'admin-token'), 'utf8')).toBe(`${adminToken}\n`);
    expect(readFileSync(join(folder, 'encryption-key'), 'utf8')).toBe(`${encryptionKey.toString('base64')}\n`);
    expect(adminTokenFile).toBe(made[0]);
  });

  it('creates secrets that are strong, valid in a header and different each time', () => {
    const [one, two] = [load(temporaryFolder()), load(temporaryFolder())];
    expect(one.adminToken).toMatch(/^[\w-]{32}$/);
    expect(one.encryptionKey).toHaveLength(32);
    expect(one.adminToken).not.toBe(two.adminToken);
    expect(one.encryptionKey.equals(two.encryptionKey)).toBe(false);
  });

  it('creates the folder of the database', () => {
    const folder = join(temporaryFolder(), 'not', 'there', 'yet');
    load(folder);
    expect(readdirSync(folder).sort()).toEqual(['admin-token', 'encryption-key']);
  });

  it('creates no file for a secret from the environment', () => {
    const folder = temporaryFolder();
    const keys = load(folder, { ADMIN_TOKEN: TOKEN, ENCRYPTION_KEY: KEY });
    expect(keys).toEqual({
      adminToken: TOKEN,
      encryptionKey: Buffer.alloc(32, 7),
      made: [],
      adminTokenFile: null,
    });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('every later start', () => {
  it('reads the same secrets and creates none', () => {
    const folder = temporaryFolder();
    const first = load(folder);
    expect(load(folder)).toEqual({ ...first, made: [] });
  });

  it('prefers the environment to the files and leaves the files unchanged', () => {
    const folder = temporaryFolder();
    const { adminToken } = load(folder);
    expect(load(folder, { ADMIN_TOKEN: TOKEN })).toMatchObject({ adminToken: TOKEN, adminTokenFile: null, made: [] });
    expect(load(folder).adminToken).toBe(adminToken);
  });

  it('accepts a file with or without a final line break', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'admin-token'), TOKEN);
    writeFileSync(join(folder, 'encryption-key'), `${KEY}\r\n`);
    expect(load(folder)).toMatchObject({ adminToken: TOKEN, encryptionKey: Buffer.alloc(32, 7) });
  });
});

describe('the start is refused', () => {
  it.each(['admin-token', 'encryption-key'])('if the file %s is empty, with instructions', (name) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, name), '\n');
    const { code, message } = refusalOf(folder);
    expect(code).toBe('GW_STORE_UNUSABLE');
    expect(message).toContain(join(folder, name));
    expect(message).toContain('Restore it from a backup');
    expect(readFileSync(join(folder, name), 'utf8')).toBe('\n');
  });

  it('if the encryption key is damaged, without replacing or revealing it', () => {
    const folder = temporaryFolder();
    const { encryptionKey } = load(folder);
    const damaged = encryptionKey.toString('base64').slice(0, 30);
    writeFileSync(join(folder, 'encryption-key'), damaged);
    const { code, message } = refusalOf(folder);
    expect(code).toBe('GW_STORE_UNUSABLE');
    expect(message).toContain('encryption-key');
    expect(message).not.toContain(damaged);
  });

  it('if the encryption key is missing and the store has secrets encrypted with it, before another is created', () => {
    const folder = temporaryFolder();
    const { code, message } = refusalOf(folder, true);
    expect(code).toBe('GW_WRONG_KEY');
    expect(message).toContain(`${join(folder, 'encryption-key')} is missing`);
    expect(message).toContain('Restore the file from a backup, or set ENCRYPTION_KEY');
    expect(existsSync(join(folder, 'encryption-key'))).toBe(false);
  });

  it('if a file cannot be written completely, and no part of it remains', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'encryption-key.unfinished', 'x'), { recursive: true });
    expect(refusalOf(folder)).toMatchObject({ code: 'GW_STORE_UNUSABLE', exitCode: 1 });
    expect(existsSync(join(folder, 'encryption-key'))).toBe(false);
  });

  it('if a folder has the name of the file', () => {
    const folder = temporaryFolder();
    load(join(folder, 'admin-token'));
    expect(refusalOf(folder)).toMatchObject({ code: 'GW_STORE_UNUSABLE', exitCode: 1 });
  });

  it('if the folder is a file', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'data'), '');
    const { code, message } = refusalOf(join(folder, 'data'));
    expect(code).toBe('GW_STORE_UNUSABLE');
    expect(message).toContain(join(folder, 'data', 'admin-token'));
    expect(existsSync(join(folder, 'admin-token'))).toBe(false);
  });
});

function load(folder: string, env: Record<string, string> = {}, isKeyInUse = false): Keys {
  const config = readConfig({ DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`, ...env });
  return loadKeys(config, systemEffects, isKeyInUse);
}

function refusalOf(folder: string, isKeyInUse = false): StartError {
  try {
    load(folder, {}, isKeyInUse);
  } catch (error) {
    if (error instanceof StartError) return error;
    throw error;
  }
  throw new Error('These keys were taken.');
}
