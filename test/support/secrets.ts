import { createCipheriv, randomBytes } from 'node:crypto';
import type { Sealed } from '../../src/model.js';

/** A secret as versions before the binding to a place sealed it. */
export function sealedUnbound(secret: string, key: Buffer): Sealed {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return `v1.${Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64')}` as Sealed;
}
