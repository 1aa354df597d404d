import { createHmac, timingSafeEqual } from 'node:crypto';
import { HOUR_MS } from '../durations.js';
import type { Effects } from '../effects.js';

/**
 * The dashboard's sessions, as cookies: `<expires>.<nonce>.<origin>.<HMAC>`. The key of the HMAC is made of the admin
 * token, so a new token ends every session. The origin is that of the page that logged in. A cookie alone does not tell
 * the ports of a host apart, nor http from https: another page of the host would act with it.
 */
export interface Sessions {
  readonly cookieName: string;
  readonly isSecure: boolean;
  /** The text of a new cookie, for the page at `origin`. */
  open(origin: string): string;
  /** The session of a cookie; `expired`: it was one; null: this gateway did not make it. */
  read(cookie: string): Session | 'expired' | null;
}

export interface Session {
  readonly origin: string;
  readonly expiresAt: number;
}

export const SESSION_MS = 12 * HOUR_MS;
const NONCE_BYTES = 12;

/**
 * Browsers drop a `Secure` cookie without a word on http://gw.lan, so it is set only where PUBLIC_URL is https. They accept
 * it on http://127.0.0.1 and http://localhost.
 */
export function createSessions(
  adminToken: string,
  publicUrl: string | null,
  effects: Pick<Effects, 'now' | 'randomBytes'>,
): Sessions {
  const key = createHmac('sha256', adminToken).update('dashboard session').digest();
  const macOf = (text: string): string => createHmac('sha256', key).update(text).digest('base64url');
  const isSecure = publicUrl !== null && new URL(publicUrl).protocol === 'https:';
  return {
    cookieName: isSecure ? '__Host-gw' : 'gw',
    isSecure,
    open: (origin) => {
      const nonce = effects.randomBytes(NONCE_BYTES).toString('base64url');
      const text = [effects.now() + SESSION_MS, nonce, Buffer.from(origin).toString('base64url')].join('.');
      return `${text}.${macOf(text)}`;
    },
    read: (cookie) => {
      const end = cookie.lastIndexOf('.');
      const text = cookie.slice(0, Math.max(end, 0));
      if (!isEqual(cookie.slice(end + 1), macOf(text))) return null;
      const [expiresAt = '', , origin = ''] = text.split('.');
      if (Number(expiresAt) <= effects.now()) return 'expired';
      return { origin: Buffer.from(origin, 'base64url').toString(), expiresAt: Number(expiresAt) };
    },
  };
}

function isEqual(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
