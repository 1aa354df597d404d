import { createHmac } from 'node:crypto';
import type { Target } from '../model.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';
import { signingKey } from '../signing-secret.js';

export interface Signer {
  readonly key: Buffer;
  /** Null: never. */
  readonly expiresAt: number | null;
}

/** One per secret of a target, newest first. */
export function signersOf(target: Target, openSecret: OpenSecret): readonly Signer[] {
  const current = { key: signingKey(openSecret(target.secret, placeOf.secret(target))), expiresAt: null };
  const previous = target.previousSecrets.map(({ secret, expiresAt }) => ({
    key: signingKey(openSecret(secret, placeOf.previousSecret(target))),
    expiresAt,
  }));
  return [current, ...previous];
}

/**
 * The three headers of Standard Webhooks, with one signature per secret that has not expired. `id` stays the same for
 * every attempt of a delivery.
 */
export function signatureHeaders(
  signers: readonly Signer[],
  id: string,
  body: Buffer,
  now: number,
): Record<string, string> {
  const seconds = Math.floor(now / 1000);
  const living = signers.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': living.map(({ key }) => signatureOf(key, id, seconds, body)).join(' '),
  };
}

/**
 * One signature by Standard Webhooks, `v1,<base64>`. The `standardwebhooks` package computes the same one, but in
 * JavaScript: 25 µs instead of 3 for 2 KB, 132 ms instead of 6 for 10 MB (bench/sign.js).
 */
export function signatureOf(key: Buffer, id: string, seconds: number, body: Buffer): string {
  return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest('base64')}`;
}
