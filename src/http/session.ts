import cookie from '@fastify/cookie';
import type { FastifyRequest } from 'fastify';
import { closeSession, getSession, openSession } from '../contract/operations/session.js';
import { GatewayError } from '../errors.js';
import type { App } from './app.js';
import { digestOf, isSecret } from './auth.js';
import type { AdminAccess } from './auth.js';
import { iso } from './schemas.js';
import { SESSION_MS } from './session-cookie.js';
import type { Session, Sessions } from './session-cookie.js';

export interface SessionOptions extends AdminAccess {
  readonly sessions: Sessions;
  readonly publicUrl: string | null;
}

const MOST_BODY_BYTES = 4096;

/** `/session`: the dashboard's login. */
export async function sessionRoutes(app: App, options: SessionOptions): Promise<void> {
  const { sessions, adminToken, tokenPlace, publicUrl, refuse, onAuthenticated } = options;
  await app.register(cookie);
  const digest = digestOf(adminToken);
  const { cookieName, isSecure } = sessions;
  const attributes = { path: '/', httpOnly: true, sameSite: 'strict', secure: isSecure } as const;

  app.post('/session', { schema: openSession, bodyLimit: MOST_BODY_BYTES }, async (request, reply) => {
    const origin = ownOrigin(request, publicUrl);
    if (!isSecret(request.body.token, digest)) await refuse(request, reply, `Wrong admin token. Use ${tokenPlace}.`);
    onAuthenticated(request);
    void reply.setCookie(cookieName, sessions.open(origin), { ...attributes, maxAge: SESSION_MS / 1000 });
    return await reply.code(204).send(null);
  });

  app.get('/session', { schema: getSession }, async (request, reply) => {
    const session = await sessionOf(request, sessions, async () => await refuse(request, reply, LOG_IN));
    if (session === null) throw new GatewayError('GW_UNAUTHORIZED', LOG_IN);
    onAuthenticated(request);
    return { expires_at: iso(session.expiresAt) };
  });

  app.delete('/session', { schema: closeSession }, async (request, reply) => {
    const session = sessions.read(request.cookies[cookieName] ?? '');
    if (session !== null && session !== 'expired') requireOrigin(request, session);
    void reply.clearCookie(cookieName, attributes);
    return await reply.code(204).send(null);
  });
}

const LOG_IN = 'Not logged in: POST /session with { "token": … } opens a session.';
const EXPIRED = 'The session has expired, or the admin token has changed. Log in again.';

/**
 * The session of the cookie of a request; null: it has no cookie. `refuse` is called for a cookie that this gateway did not
 * make. @throws GatewayError GW_UNAUTHORIZED it has expired
 */
export async function sessionOf(
  request: FastifyRequest,
  sessions: Sessions,
  refuse: () => Promise<never>,
): Promise<Session | null> {
  const text = request.cookies[sessions.cookieName];
  if (text === undefined) return null;
  const session = sessions.read(text);
  if (session === null) return await refuse();
  if (session === 'expired') throw new GatewayError('GW_UNAUTHORIZED', EXPIRED);
  return session;
}

/**
 * A request by cookie that may change something must come from the page that logged in, and be JSON: `SameSite` tells the
 * ports of a host not apart. @throws GatewayError GW_WRONG_ORIGIN, GW_BAD_REQUEST
 */
export function requireOrigin({ method, headers }: FastifyRequest, { origin }: Session): void {
  if (method === 'GET' || method === 'HEAD') return;
  if (headers.origin !== origin)
    throw new GatewayError(
      'GW_WRONG_ORIGIN',
      `The session belongs to ${origin}, and the request comes from another origin. Log in again under this address.`,
    );
  const { 'content-type': type } = headers;
  if (type !== undefined && !/^application\/json *(;|$)/i.test(type))
    throw new GatewayError(
      'GW_BAD_REQUEST',
      'Unsupported content type. Send JSON with "content-type: application/json".',
    );
}

/** The origin of a login, which is that of this gateway. @throws GatewayError GW_WRONG_ORIGIN */
function ownOrigin({ headers, host }: FastifyRequest, publicUrl: string | null): string {
  const { origin = '' } = headers;
  const [scheme = ''] = origin.split('//');
  const own = [publicUrl, /^https?:$/.test(scheme) ? `${scheme}//${host}` : null];
  if (own.some((url) => url !== null && URL.canParse(url) && new URL(url).origin === origin)) return origin;
  throw new GatewayError(
    'GW_WRONG_ORIGIN',
    'A login must carry the Origin of this gateway. If it came through a reverse proxy, set PUBLIC_URL, or let the proxy ' +
      'pass the Host header on. Programs need no login: they send "Authorization: Bearer <token>".',
  );
}
