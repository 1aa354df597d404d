import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import type { Effects } from './effects.js';
import { GatewayError } from './errors.js';
import type { Sealed } from './model.js';
import { placeName } from './secret-places.js';
import type { OpenSecret, Place } from './secret-places.js';

export const ENCRYPTION_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Sealed for one place. */
const VERSION = 'v2.';
/** Of earlier versions: it opens in any place, so it is read only to be sealed anew. */
const UNBOUND_VERSION = 'v1.';

/** Encrypts the secrets in the database: Whapi tokens, webhook secrets, and secrets and headers of targets. */
export interface Encryption {
  /** The result opens only in `place`. */
  seal(secret: string, place: Place): Sealed;
  /** @throws GatewayError GW_INTERNAL if it was altered, moved from another place, or sealed under another key */
  readonly open: OpenSecret;
  /**
   * Seals what an earlier version stored: a secret that is bound to no place, or headers in plain text. Returns a secret
   * that is bound already, or that does not open, as it is.
   */
  bind(stored: Sealed, place: Place): Sealed;
  /** Identifies the key without revealing it. */
  readonly fingerprint: string;
}

/** The key in a text of base64, or null if it is not exactly one key. */
export function parseKey(text: string): Buffer | null {
  const key = Buffer.from(text, 'base64');
  const isExact = key.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '');
  return isExact && key.length === ENCRYPTION_KEY_BYTES ? key : null;
}

/** Identifies a key without revealing it. */
export function fingerprintOf(key: Buffer): string {
  return createHmac('sha256', key).update('whapi-resync-gateway').digest('hex').slice(0, 16);
}

/** AES-256-GCM under `key` (32 bytes), with a fresh nonce per secret and its place as associated data. */
export function createEncryption(key: Buffer, effects: Pick<Effects, 'randomBytes'>): Encryption {
  const seal: Encryption['seal'] = (secret, place) => {
    const nonce = effects.randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(bindingOf(place));
    const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return `${VERSION}${Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64')}` as Sealed;
  };
  return {
    seal,
    open: (sealed, place) => {
      const secret = sealed.startsWith(VERSION) ? decrypted(sealed, key, bindingOf(place)) : null;
      if (secret === null) throw unreadable(place);
      return secret;
    },
    bind: (stored, place) => {
      if (stored.startsWith(VERSION)) return stored;
      // Up to schema version 3, headers were stored in plain text.
      const isPlain = place.column === 'headers' && stored.startsWith('{');
      const secret = isPlain ? stored : decrypted(stored, key, null);
      return secret === null ? stored : seal(secret, place);
    },
    fingerprint: fingerprintOf(key),
  };
}

/** JSON notation marks where each part ends. */
function bindingOf({ table, row, column }: Place): Buffer {
  return Buffer.from(JSON.stringify([table, row, column]));
}

/** The secret, or null if the text does not decrypt. `binding` null: it is bound to no place. */
function decrypted(sealed: string, key: Buffer, binding: Buffer | null): string | null {
  if (!sealed.startsWith(binding === null ? UNBOUND_VERSION : VERSION)) return null;
  const bytes = Buffer.from(sealed.slice(VERSION.length), 'base64');
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  if (binding !== null) decipher.setAAD(binding);
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    return decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return null;
  }
}

function unreadable(place: Place): GatewayError {
  return new GatewayError(
    'GW_INTERNAL',
    `The stored ${placeName(place)} does not open: it was changed in the database, moved there from another place, or ` +
      'encrypted with another key. Set it again, or restore a backup.',
  );
}
