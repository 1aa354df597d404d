import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import { HOUR_MS } from '../durations.js';
import type { Effects } from '../effects.js';
import { addressOf, networkAround } from '../networks.js';
import { Throttle } from '../throttle.js';
import type { TrustedProxies } from '../trusted-proxies.js';

/** A header of 16 KiB can name thousands of addresses. No real chain of proxies is this long. */
const MOST_PROXIES = 32;
/** One machine usually has a whole /64, and could take another address for each request. */
const IPV6_CLIENT_BITS = 64;
const WARNED_EVERY_MS = HOUR_MS;
const FORWARDED_FOR = 'x-forwarded-for';

/**
 * Fastify's `trustProxy`. `X-Forwarded-For` is read from the right, where the nearest proxy writes, as long as each
 * address is a trusted proxy. So entries that a client makes up, which are further left, are never reached.
 */
export function trustProxyOf(
  proxies: TrustedProxies | null,
): false | ((address: string | undefined, hop: number) => boolean) {
  // A connection that has just closed has no address.
  return proxies !== null && ((address, hop) => hop < MOST_PROXIES && proxies.trusts(address ?? ''));
}

/** The address of the client, or of the nearest proxy that did not say for whom it asks. */
export function clientAddress(request: FastifyRequest): string {
  return (nearestAddress(request) ?? 'unknown').toString();
}

/** What requests are counted by: an IPv4 address, or the /64 network of an IPv6 address. */
export function clientNetwork(request: FastifyRequest): string {
  const address = nearestAddress(request);
  if (!address) return 'unknown';
  return address.kind() === 'ipv6' ? networkAround(address, IPV6_CLIENT_BITS) : address.toString();
}

function nearestAddress({ ip, ips = [ip] }: FastifyRequest) {
  // From the connection (first) to the client (last). Proxies write `unknown` for a client that they do not name.
  const known = ips.map((text: string | undefined) => addressOf(text ?? '')).filter((address) => address !== null);
  return known.at(-1) ?? null;
}

/** Warns of a reverse proxy that is not in TRUSTED_PROXIES, because all its clients count as one. */
export function warnOfUntrustedProxy(
  app: FastifyInstance,
  log: Pick<FastifyBaseLogger, 'warn'>,
  effects: Pick<Effects, 'now'>,
): void {
  const throttle = new Throttle(WARNED_EVERY_MS, effects);
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.headers[FORWARDED_FOR] !== undefined && throttle.count(FORWARDED_FOR) !== null) {
      const from = clientAddress(request);
      const fix = `If a reverse proxy of yours runs at ${from}, set TRUSTED_PROXIES=${from}, so that its clients are told apart.`;
      log.warn({ from, fix }, 'x-forwarded-for ignored');
    }
    done();
  });
}
