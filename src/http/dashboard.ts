import '@fastify/swagger'; // the type of `schema.hide`
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../errors.js';
import type { DashboardFile } from './dashboard-files.js';

export interface DashboardOptions {
  /** The built files by their paths: `page.html`, `assets/main-a1b2c3.js`. */
  readonly files: ReadonlyMap<string, DashboardFile>;
}

/** Nothing from outside, no inline script or style, and no text that becomes a script. */
export const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
} as const;

const PAGES = ['page.html', 'index.html'];
const FOREVER = 'public, max-age=31536000, immutable';

/** `/` and `/assets/*`: the built files of the dashboard, from memory. They are open: they hold no data. */
export async function dashboardRoutes(app: FastifyInstance, { files }: DashboardOptions): Promise<void> {
  const page = PAGES.map((name) => files.get(name)).find((file) => file !== undefined);
  const schema = { hide: true };

  app.get('/', { schema }, async (request, reply) => {
    if (!page)
      throw new GatewayError(
        'GW_NOT_FOUND',
        'The dashboard was not built. Run "npm run build", and start the gateway again. The API is at /v1, and ' +
          'GET /openapi.json lists its operations.',
      );
    return await send(page, 'no-store', request, reply);
  });

  app.get<{ Params: { '*': string } }>('/assets/*', { schema }, async (request, reply) => {
    const file = files.get(`assets/${request.params['*']}`);
    if (!file)
      throw new GatewayError(
        'GW_NOT_FOUND',
        'The dashboard has no such file. After an upgrade of the gateway, reload the page.',
      );
    return await send(file, FOREVER, request, reply);
  });
  await Promise.resolve();
}

async function send(
  { type, bytes, gzip, etag }: DashboardFile,
  cacheControl: string,
  { headers }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  void reply.headers({ ...PAGE_HEADERS, 'cache-control': cacheControl, etag, vary: 'accept-encoding' });
  if (headers['if-none-match'] === etag) return await reply.code(304).send();
  const acceptsGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(headers['accept-encoding'] ?? '');
  if (gzip === null || !acceptsGzip) return await reply.type(type).send(bytes);
  return await reply.type(type).header('content-encoding', 'gzip').send(gzip);
}
