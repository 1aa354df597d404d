import { Webhook } from 'standardwebhooks';
import type { Sealed, Target } from '../model.js';

export interface Signer {
  readonly webhook: Webhook;
  /** Null: never. */
  readonly expiresAt: number | null;
}

/** One per secret of a target, newest first. */
export function signersOf(target: Target, openSecret: (sealed: Sealed) => string): readonly Signer[] {
  return [{ secret: target.secret, expiresAt: null }, ...target.previousSecrets].map(({ secret, expiresAt }) => ({
    webhook: new Webhook(openSecret(secret)),
    expiresAt,
  }));
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
    'webhook-signature': living.map(({ webhook }) => webhook.sign(id, new Date(seconds * 1000), body)).join(' '),
  };
}
