/** Standard Webhooks requires 24 to 64 bytes; 32 match the strength of SHA-256. */
const SECRET_BYTES = 32;
const PREFIX = 'whsec_';
const LEAST_BYTES = 24;
const MOST_BYTES = 64;

/** Creates a signing secret in the form of Standard Webhooks. */
export function newSigningSecret(randomBytes: (size: number) => Buffer): string {
  return `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`;
}

/** Whether a user's secret has that form. */
export function isSigningSecret(secret: string): boolean {
  const match = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret);
  const size = match ? Buffer.from(match[1] ?? '', 'base64').length : 0;
  return size >= LEAST_BYTES && size <= MOST_BYTES;
}

/** The HMAC key of a secret in that form. */
export function signingKey(secret: string): Buffer {
  return Buffer.from(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret, 'base64');
}
