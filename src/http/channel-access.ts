import '@fastify/rate-limit'; // the type of app.createRateLimit
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MINUTE_MS } from '../durations.js';
import { GatewayError } from '../errors.js';
import { bearerOf } from './auth.js';

/** What a client hears that names no channel by its token. */
export const UNKNOWN_TOKEN = `Missing or invalid token. Send the channel's own Whapi token as "Authorization: Bearer <token>" or "?token=<token>".`;

/**
 * The token of a request; null without one, or with another scheme.
 * @param inQuery the tokens of its query
 * @throws GatewayError GW_BAD_REQUEST (two tokens)
 */
export function tokenOf(request: FastifyRequest, inQuery: readonly string[]): string | null {
  const bearer = bearerOf(request);
  if (bearer === null && request.headers.authorization !== undefined) return null;
  const given = new Set(bearer === null ? inQuery : [bearer, ...inQuery]);
  // It is unknown which of them Whapi would use, so the channel is unknown, too.
  if (given.size > 1)
    throw new GatewayError('GW_BAD_REQUEST', 'The request has two different tokens. Send only one of them.');
  return [...given][0] ?? null;
}

/** @throws GatewayError GW_RATE_LIMITED */
export type LimitCaller = (request: FastifyRequest, reply: FastifyReply, caller: string) => Promise<void>;

/**
 * Counts requests per caller: a channel, so that bots behind one proxy do not use up each other's limit, or a client.
 * @param max requests per minute; 0: no limit
 */
export function callerLimit(app: FastifyInstance, max: number): LimitCaller {
  if (max === 0) return async () => await Promise.resolve();
  const callers = new WeakMap<FastifyRequest, string>();
  const count = app.createRateLimit({
    max,
    timeWindow: MINUTE_MS,
    keyGenerator: (request) => callers.get(request) ?? '',
  });
  return async (request, reply, caller) => {
    callers.set(request, caller);
    const counted = await count(request);
    if (counted.isAllowed || !counted.isExceeded) return;
    reply.header('retry-after', counted.ttlInSeconds);
    throw new GatewayError(
      'GW_RATE_LIMITED',
      `More than ${max} requests per minute of ${caller} (API_RATE_PER_MINUTE). Try again in ${counted.ttlInSeconds} s.`,
    );
  };
}
