import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import type { Effects } from './effects.js';
import type { Sealed } from './model.js';

export const ENCRYPTION_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const VERSION = 'v1.';

/** Encrypts the secrets in the database: Whapi tokens, webhook secrets, and secrets and headers of targets. */
export interface Encryption {
  seal(secret: string): Sealed;
  /** @throws Error if the text was altered or sealed under another key */
  open(sealed: Sealed): string;
  /** Whether a text is sealed, as opposed to plain text of older schema versions. */
  isSealed(text: string): boolean;
  /** Identifies the key without revealing it. */
  readonly fingerprint: string;
}

/** AES-256-GCM under `key` (32 bytes), with a fresh nonce per secret. */
export function createEncryption(key: Buffer, effects: Pick<Effects, 'randomBytes'>): Encryption {
  return {
    seal: (secret) => {
      const nonce = effects.randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return `${VERSION}${Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64')}` as Sealed;
    },
    open: (sealed) => {
      const bytes = Buffer.from(sealed.slice(VERSION.length), 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    },
    isSealed: (text) => text.startsWith(VERSION),
    fingerprint: createHmac('sha256', key).update('whapi-resync-gateway').digest('hex').slice(0, 16),
  };
}
