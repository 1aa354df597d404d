import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { readConfig } from '../src/config.js';
import { systemEffects } from '../src/effects.js';
import { fingerprintOf } from '../src/encryption.js';
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
      readableByOthers: [],
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
    put(folder, 'admin-token', TOKEN);
    put(folder, 'encryption-key', `${KEY}\r\n`);
    expect(load(folder)).toMatchObject({ adminToken: TOKEN, encryptionKey: Buffer.alloc(32, 7) });
  });
});

describe('a key file that other users', () => {
  it('may read is accepted, and reported', () => {
    const folder = temporaryFolder();
    const files = [put(folder, 'admin-token', TOKEN, 0o644), put(folder, 'encryption-key', KEY, 0o440)];
    expect(load(folder)).toMatchObject({ adminToken: TOKEN, readableByOthers: files });
  });

  it.each([0o620, 0o602, 0o666])('may change (mode %d) is refused, with the command that mends it', (mode) => {
    const folder = temporaryFolder();
    const file = put(folder, 'encryption-key', KEY, mode);
    expect(refusalOf(folder)).toMatchObject({
      code: 'GW_UNSAFE_KEY_FILE',
      message: `Other users may change ${file}. Run: chmod 600 ${file}`,
    });
  });

  it('own is refused, unless that user is root, as for a secret that a container mounts', () => {
    const folder = temporaryFolder();
    const file = put(folder, 'admin-token', TOKEN, 0o444);
    const owner = statSync(file).uid;
    const getuid = vi.spyOn(process, 'getuid').mockReturnValue(owner + 1);
    onTestFinished(() => getuid.mockRestore());
    if (owner === 0) {
      expect(load(folder, { ENCRYPTION_KEY: KEY })).toMatchObject({ adminToken: TOKEN, readableByOthers: [file] });
    } else {
      expect(refusalOf(folder)).toMatchObject({ code: 'GW_UNSAFE_KEY_FILE' });
    }
  });

  it.runIf(process.getuid?.() === 0)('own is refused to root as well, unless the folder is theirs', () => {
    const folder = temporaryFolder();
    const file = put(folder, 'admin-token', TOKEN);
    chownSync(file, 12_345, 12_345);
    const { code, message } = refusalOf(folder);
    expect(code).toBe('GW_UNSAFE_KEY_FILE');
    expect(message).toContain(`${file} belongs to another user (12345)`);
    chownSync(folder, 12_345, 12_345);
    const { made } = load(folder);
    expect(made.map((each) => statSync(each).uid)).toEqual([12_345]);
  });
});

describe('a change of the key that a crash interrupted', () => {
  it('is finished at the next start if the secrets are encrypted with the new key already', () => {
    const folder = temporaryFolder();
    const { encryptionKey: old } = load(folder);
    put(folder, 'encryption-key.new', KEY);
    const key = Buffer.from(KEY, 'base64');
    expect(load(folder, {}, fingerprintOf(key)).encryptionKey).toEqual(key);
    expect(readFileSync(join(folder, 'encryption-key'), 'utf8')).toBe(KEY);
    const kept = readdirSync(folder).find((name) => name.startsWith('encryption-key.old-')) ?? '';
    expect(readFileSync(join(folder, kept), 'utf8').trim()).toBe(old.toString('base64'));
    expect(existsSync(join(folder, 'encryption-key.new'))).toBe(false);
  });

  it('is forgotten if they are not', () => {
    const folder = temporaryFolder();
    const { encryptionKey: old } = load(folder);
    put(folder, 'encryption-key.new', KEY);
    expect(load(folder, {}, fingerprintOf(old)).encryptionKey).toEqual(old);
  });

  it('is finished even if the old key is gone', () => {
    const folder = temporaryFolder();
    put(folder, 'encryption-key.new', KEY);
    const key = Buffer.from(KEY, 'base64');
    expect(load(folder, {}, fingerprintOf(key)).encryptionKey).toEqual(key);
  });
});

describe('the start is refused', () => {
  it.each(['short', `${TOKEN} and more`, `${TOKEN}\n${TOKEN}`, `${TOKEN}"`])(
    'if the file of the admin token holds %j, as for the variable, without repeating it',
    (text) => {
      const folder = temporaryFolder();
      const file = put(folder, 'admin-token', text);
      const { code, message } = refusalOf(folder);
      expect(code).toBe('GW_STORE_UNUSABLE');
      expect(message).toContain(`${file} does not hold an admin token; expected 16 or more letters`);
      expect(message).not.toContain(text);
    },
  );

  it.each([`${KEY} and more`, `${KEY}\n${KEY}`, `${KEY}AAAA`])(
    'if the encryption key has something behind it: %j',
    (text) => {
      const folder = temporaryFolder();
      put(folder, 'encryption-key', text);
      expect(refusalOf(folder)).toMatchObject({ code: 'GW_STORE_UNUSABLE' });
    },
  );

  it('at once if a key file is a pipe, which would never end, or is very large', () => {
    const folder = temporaryFolder();
    const file = join(folder, 'admin-token');
    execFileSync('mkfifo', [file]);
    expect(refusalOf(folder).message).toContain(`${file} is not a regular file`);
    const key = put(folder, 'encryption-key', KEY);
    truncateSync(key, 8 * 1024 ** 3); // sparse
    const config = { ADMIN_TOKEN: TOKEN };
    expect(() => load(folder, config)).toThrow(`${key} is longer than 4096 bytes`);
  });

  it.each(['admin-token', 'encryption-key'])('if the file %s is empty, with instructions', (name) => {
    const folder = temporaryFolder();
    put(folder, name, '\n');
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
    put(folder, 'encryption-key', damaged);
    const { code, message } = refusalOf(folder);
    expect(code).toBe('GW_STORE_UNUSABLE');
    expect(message).toContain('encryption-key');
    expect(message).not.toContain(damaged);
  });

  it('if the encryption key is missing and the store has secrets encrypted with it, before another is created', () => {
    const folder = temporaryFolder();
    const { code, message } = refusalOf(folder, fingerprintOf(Buffer.alloc(32)));
    expect(code).toBe('GW_WRONG_KEY');
    expect(message).toContain(`${join(folder, 'encryption-key')} is missing`);
    expect(message).toContain('Restore the file from a backup, or set ENCRYPTION_KEY');
    expect(existsSync(join(folder, 'encryption-key'))).toBe(false);
  });

  it('if a file cannot be written completely, and no part of it remains', () => {
    const folder = temporaryFolder();
    symlinkSync('elsewhere', join(folder, 'encryption-key')); // prepared by someone who wants to read the key there
    expect(refusalOf(folder)).toMatchObject({ code: 'GW_STORE_UNUSABLE', exitCode: 1 });
    expect(readdirSync(folder).sort()).toEqual(['admin-token', 'encryption-key']);
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
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

/** A key file as the gateway creates it, unless the mode says otherwise. */
function put(folder: string, name: string, text: string, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

function load(folder: string, env: Record<string, string> = {}, fingerprint: string | null = null): Keys {
  const config = readConfig({ DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`, ...env });
  return loadKeys(config, systemEffects, fingerprint);
}

function refusalOf(folder: string, fingerprint: string | null = null): StartError {
  try {
    load(folder, {}, fingerprint);
  } catch (error) {
    if (error instanceof StartError) return error;
    throw error;
  }
  throw new Error('These keys were taken.');
}
