import { Webhook } from 'standardwebhooks';
import type { Target } from '../model.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

export interface Signer {
  readonly webhook: Webhook;
  /** Null: never. */
  readonly expiresAt: number | null;
}

/** One per secret of a target, newest first. */
export function signersOf(target: Target, openSecret: OpenSecret): readonly Signer[] {
  const current = { webhook: new Webhook(openSecret(target.secret, placeOf.secret(target))), expiresAt: null };
  const previous = target.previousSecrets.map(({ secret, expiresAt }) => ({
    webhook: new Webhook(openSecret(secret, placeOf.previousSecret(target))),
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
    'webhook-signature': living.map(({ webhook }) => webhook.sign(id, new Date(seconds * 1000), body)).join(' '),
  };
}
