import type { Webhook } from 'standardwebhooks';

/** The three headers of the Standard Webhooks specification. `id` stays the same for every attempt of a delivery. */
export function signatureHeaders(signer: Webhook, id: string, body: Buffer, now: number): Record<string, string> {
  const seconds = Math.floor(now / 1000);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signer.sign(id, new Date(seconds * 1000), body),
  };
}
