import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemEffects } from '../src/effects.js';
import type { Sealed } from '../src/model.js';
import { createEncryption, ENCRYPTION_KEY_BYTES } from '../src/encryption.js';
import type { Encryption } from '../src/encryption.js';

const KEY = Buffer.alloc(ENCRYPTION_KEY_BYTES, 7);
const encryption = createEncryption(KEY, systemEffects);

describe('an encrypted secret', () => {
  it('decrypts to the original, for any content', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (secret) => {
        expect(encryption.open(encryption.seal(secret))).toBe(secret);
      }),
    );
  });

  it('decrypts with another instance of the same key', () => {
    expect(createEncryption(Buffer.from(KEY), systemEffects).open(encryption.seal('hush'))).toBe('hush');
  });

  it('does not decrypt with another key', () => {
    const other = createEncryption(randomBytes(ENCRYPTION_KEY_BYTES), systemEffects);
    expect(() => other.open(encryption.seal('hush'))).toThrow();
  });

  it('does not decrypt after a change of any byte', () => {
    const sealed = encryption.seal('hush hush');
    const bytes = Buffer.from(sealed.slice(sealed.indexOf('.') + 1), 'base64');
    for (const at of bytes.keys()) {
      const altered = Buffer.from(bytes);
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at);
      expect(() => encryption.open(`v1.${altered.toString('base64')}` as Sealed)).toThrow();
    }
  });

  it.each(['', 'v1.', 'v1.AAAA', 'hush', 'v1.🙂'])('is not "%s"', (text) => {
    expect(() => encryption.open(text as Sealed)).toThrow();
  });

  it('reveals neither the secret nor that two secrets are equal', () => {
    const [one, two] = [encryption.seal('the-same-secret'), encryption.seal('the-same-secret')];
    expect(one).not.toBe(two);
    for (const sealed of [one, two])
      expect(Buffer.from(sealed.slice(3), 'base64').toString('latin1')).not.toContain('secret');
  });
});

describe('the fingerprint of a key', () => {
  it('differs between keys and is stable', () => {
    const fingerprintOf = (key: Buffer): Encryption['fingerprint'] => createEncryption(key, systemEffects).fingerprint;
    expect(fingerprintOf(KEY)).toBe(encryption.fingerprint);
    const others = Array.from({ length: 100 }, () => fingerprintOf(randomBytes(ENCRYPTION_KEY_BYTES)));
    expect(new Set([...others, encryption.fingerprint]).size).toBe(101);
  });

  it('does not contain the key', () => {
    expect(encryption.fingerprint).toMatch(/^[0-9a-f]{16}$/);
    expect(KEY.toString('hex')).not.toContain(encryption.fingerprint);
  });
});
