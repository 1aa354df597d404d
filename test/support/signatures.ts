import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import type { BotRequest } from './bot.js';

type Verify = (secret: string, request: BotRequest) => boolean;

/**
 * Three independent verifiers: two third-party packages and the algorithm of the specification on the original bytes.
 */
const VERIFIERS: readonly Verify[] = [
  (secret, { headers, body }) => isQuiet(() => new Webhook(secret).verify(body, headers as Record<string, string>)),
  (secret, { headers, body }) => isQuiet(() => new SvixWebhook(secret).verify(body, headers as Record<string, string>)),
  (secret, { headers, body }) => {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.`;
    const signature = createHmac('sha256', key).update(signed).update(body).digest('base64');
    return String(headers['webhook-signature']).split(' ').includes(`v1,${signature}`);
  },
];

/** Whether a request has a signature by this secret. The verifiers must agree. */
export function isSignedBy(secret: string, request: BotRequest): boolean {
  const verdicts = VERIFIERS.map((verify) => verify(secret, request));
  if (new Set(verdicts).size !== 1) throw new Error(`They do not agree: ${verdicts.join(', ')}`);
  return verdicts[0] === true;
}

/** The names of the secrets that signed a request. */
export function signersOf(request: BotRequest, secrets: Readonly<Record<string, string>>): string[] {
  return Object.keys(secrets).filter((name) => isSignedBy(secrets[name] ?? '', request));
}

function isQuiet(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}
