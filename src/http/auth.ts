import { hash, timingSafeEqual } from 'node:crypto';
import '@fastify/rate-limit'; // the type of app.createRateLimit
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MINUTE_MS } from '../durations.js';
import { GatewayError } from '../errors.js';
import { clientNetwork } from './client-address.js';

const MOST_FAILURES_PER_MINUTE = 20;

/** Secrets are compared by digests of equal length, so that timing does not reveal how much of a guess was right. */
export function digestOf(secret: string): Buffer {
  return Buffer.from(hash('sha256', secret, 'binary'), 'latin1');
}

export function isSecret(given: string | null, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(given ?? ''), digest) && given !== null;
}

export function bearerOf(request: FastifyRequest): string | null {
  const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '');
  return match?.[1] ?? null;
}

/** Handles a failed authentication: always throws. `detail` says what is wrong and what to send instead. */
export type RefuseAuthentication = (request: FastifyRequest, reply: FastifyReply, detail?: string) => Promise<never>;

/** Called for each request that has authenticated, before it is handled. */
export type NoteAuthentication = (request: FastifyRequest) => void;

const DETAIL = 'Missing or invalid token. Send "Authorization: Bearer <token>".';

/**
 * Counts failed authentications per client address and answers 429 after twenty a minute. A correct secret from that address
 * still passes, because Whapi may share a proxy with the attacker. Needs `@fastify/rate-limit`.
 */
export function authenticationGuard(app: FastifyInstance): RefuseAuthentication {
  const countFailure = app.createRateLimit({
    max: MOST_FAILURES_PER_MINUTE,
    timeWindow: MINUTE_MS,
    keyGenerator: clientNetwork,
  });
  return async (request, reply, detail = DETAIL) => {
    const counted = await countFailure(request);
    if (counted.isAllowed || !counted.isExceeded) {
      reply.header('www-authenticate', 'Bearer');
      throw new GatewayError('GW_UNAUTHORIZED', detail);
    }
    reply.header('retry-after', counted.ttlInSeconds);
    throw new GatewayError(
      'GW_RATE_LIMITED',
      `Too many failed authentications. Try again in ${counted.ttlInSeconds} s.`,
    );
  };
}

export interface AdminAccess {
  readonly adminToken: string;
  /** Where the token can be read, in words. */
  readonly tokenPlace: string;
  readonly refuse: RefuseAuthentication;
  readonly onAuthenticated: NoteAuthentication;
}

/** Admits a request without a bearer token; false: it carries nothing else that would. Throws what it refuses. */
export type AdmitSession = (request: FastifyRequest, reply: FastifyReply) => Promise<boolean>;

/** A hook that requires the admin token as a bearer token, or a session. A bearer token decides alone. */
export function requireAdmin(
  { adminToken, tokenPlace, refuse, onAuthenticated }: AdminAccess,
  admitSession: AdmitSession,
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  const digest = digestOf(adminToken);
  return async (request, reply) => {
    const token = bearerOf(request);
    const isSession = token === null && (await admitSession(request, reply));
    if (!isSession && !isSecret(token, digest)) {
      const problem = token === null ? 'Missing admin token' : 'Wrong admin token';
      await refuse(request, reply, `${problem}. Send "Authorization: Bearer <token>" with ${tokenPlace}.`);
    }
    onAuthenticated(request);
  };
}
