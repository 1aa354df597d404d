import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemEffects } from '../src/effects.js';
import type { Sealed } from '../src/model.js';
import { createEncryption, ENCRYPTION_KEY_BYTES, parseKey } from '../src/encryption.js';
import { placeOf } from '../src/secret-places.js';
import type { Encryption } from '../src/encryption.js';
import { sealedUnbound } from './support/secrets.js';

const KEY = Buffer.alloc(ENCRYPTION_KEY_BYTES, 7);
const encryption = createEncryption(KEY, systemEffects);
const PLACE = placeOf.whapiToken({ name: 'main' });

describe('an encrypted secret', () => {
  it('decrypts to the original, for any content', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (secret) => {
        expect(encryption.open(encryption.seal(secret, PLACE), PLACE)).toBe(secret);
      }),
    );
  });

  it('decrypts with another instance of the same key', () => {
    expect(createEncryption(Buffer.from(KEY), systemEffects).open(encryption.seal('hush', PLACE), PLACE)).toBe('hush');
  });

  it('does not decrypt with another key', () => {
    const other = createEncryption(randomBytes(ENCRYPTION_KEY_BYTES), systemEffects);
    expect(() => other.open(encryption.seal('hush', PLACE), PLACE)).toThrow('does not open');
  });

  it('does not decrypt after a change of any byte', () => {
    const sealed = encryption.seal('hush hush', PLACE);
    const bytes = Buffer.from(sealed.slice(sealed.indexOf('.') + 1), 'base64');
    for (const at of bytes.keys()) {
      const altered = Buffer.from(bytes);
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at);
      expect(() => encryption.open(`v2.${altered.toString('base64')}` as Sealed, PLACE)).toThrow();
    }
  });

  it.each(['', 'v2.', 'v2.AAAA', 'hush', 'v2.🙂', `v2.${'A'.repeat(64)}`])('is not "%s"', (text) => {
    expect(() => encryption.open(text as Sealed, PLACE)).toThrow(
      'The stored whapi_token of channel "main" does not open',
    );
  });

  it('reveals neither the secret nor that two secrets are equal', () => {
    const [one, two] = [encryption.seal('the-same-secret', PLACE), encryption.seal('the-same-secret', PLACE)];
    expect(one).not.toBe(two);
    for (const sealed of [one, two])
      expect(Buffer.from(sealed.slice(3), 'base64').toString('latin1')).not.toContain('secret');
  });
});

describe('an encrypted secret in another place', () => {
  it.each([
    ['another row', placeOf.whapiToken({ name: 'other' })],
    ['another column', placeOf.webhookSecret({ name: 'main' })],
    ['a row of another table with the same name', placeOf.secret({ id: 'main' })],
  ])('does not decrypt: %s', (_, place) => {
    const { seal, open } = encryption;
    expect(() => open(seal('hush', PLACE), place)).toThrow(`does not open`);
  });

  it('is refused with the place, but without the secret', () => {
    const sealed = encryption.seal('hush', PLACE);
    const place = placeOf.previousSecret({ id: 'tgt_1' });
    expect(() => encryption.open(sealed, place)).toThrow(
      expect.objectContaining({
        code: 'GW_INTERNAL',
        message:
          'The stored previous_secrets of target "tgt_1" does not open: it was changed in the database, moved there from ' +
          'another place, or encrypted with another key. Set it again, or restore a backup.',
      }) as Error,
    );
  });
});

describe('a secret of an earlier version, bound to no place', () => {
  it('does not decrypt until it was sealed anew, and then in its place only', () => {
    const stored = sealedUnbound('hush', KEY);
    expect(() => encryption.open(stored, PLACE)).toThrow('does not open');
    const bound = encryption.bind(stored, PLACE);
    expect(bound).toMatch(/^v2\./);
    expect(encryption.open(bound, PLACE)).toBe('hush');
    expect(() => encryption.open(bound, placeOf.webhookSecret({ name: 'main' }))).toThrow('does not open');
    expect(encryption.bind(bound, PLACE)).toBe(bound);
  });

  it('is left as it is if it does not open', () => {
    for (const stored of ['', 'v1.', 'hush', sealedUnbound('hush', randomBytes(32))] as Sealed[]) {
      expect(encryption.bind(stored, PLACE)).toBe(stored);
    }
  });

  it('may be the headers of a target in plain text', () => {
    const place = placeOf.headers({ id: 'tgt_1' });
    expect(encryption.open(encryption.bind('{"a":"b"}' as Sealed, place), place)).toBe('{"a":"b"}');
    expect(encryption.bind('{"a":"b"}' as Sealed, PLACE)).toBe('{"a":"b"}');
  });
});

describe('a key as text', () => {
  const TEXT = KEY.toString('base64');

  it('is 32 bytes in base64, with or without padding', () => {
    for (const text of [TEXT, TEXT.replace('=', '')]) expect(parseKey(text)).toEqual(KEY);
  });

  it.each(['', TEXT.slice(4), `${TEXT}AAAA`, `${TEXT} `, `${TEXT}!`, ` ${TEXT}`, `${TEXT}\nAAAA`])(
    'is not %j',
    (text) => {
      expect(parseKey(text)).toBeNull();
    },
  );
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
