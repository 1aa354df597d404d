import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemEffects } from '../src/effects.js';
import type { Sealed } from '../src/model.js';
import { createVault, ENCRYPTION_KEY_BYTES } from '../src/vault.js';
import type { Vault } from '../src/vault.js';

const KEY = Buffer.alloc(ENCRYPTION_KEY_BYTES, 7);
const vault = createVault(KEY, systemEffects);

describe('a sealed secret', () => {
  it('opens to what was sealed, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (secret) => {
        expect(vault.open(vault.seal(secret))).toBe(secret);
      }),
    );
  });

  it('opens with another vault of the same key', () => {
    expect(createVault(Buffer.from(KEY), systemEffects).open(vault.seal('hush'))).toBe('hush');
  });

  it('does not open with another key', () => {
    const other = createVault(randomBytes(ENCRYPTION_KEY_BYTES), systemEffects);
    expect(() => other.open(vault.seal('hush'))).toThrow();
  });

  it('does not open when any one of its bytes was changed', () => {
    const sealed = vault.seal('hush hush');
    const bytes = Buffer.from(sealed.slice(sealed.indexOf('.') + 1), 'base64');
    for (const at of bytes.keys()) {
      const altered = Buffer.from(bytes);
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at);
      expect(() => vault.open(`v1.${altered.toString('base64')}` as Sealed)).toThrow();
    }
  });

  it.each(['', 'v1.', 'v1.AAAA', 'hush', 'v1.🙂'])('is not "%s"', (text) => {
    expect(() => vault.open(text as Sealed)).toThrow();
  });

  it('does not show the secret, nor that two are the same', () => {
    const [one, two] = [vault.seal('the-same-secret'), vault.seal('the-same-secret')];
    expect(one).not.toBe(two);
    for (const sealed of [one, two])
      expect(Buffer.from(sealed.slice(3), 'base64').toString('latin1')).not.toContain('secret');
  });
});

describe('the fingerprint', () => {
  it('tells keys apart and is the same each time', () => {
    const fingerprintOf = (key: Buffer): Vault['fingerprint'] => createVault(key, systemEffects).fingerprint;
    expect(fingerprintOf(KEY)).toBe(vault.fingerprint);
    const others = Array.from({ length: 100 }, () => fingerprintOf(randomBytes(ENCRYPTION_KEY_BYTES)));
    expect(new Set([...others, vault.fingerprint]).size).toBe(101);
  });

  it('does not contain the key', () => {
    expect(vault.fingerprint).toMatch(/^[0-9a-f]{16}$/);
    expect(KEY.toString('hex')).not.toContain(vault.fingerprint);
  });
});
