import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Nothing from outside. The library's own policy allows https, a validator on the internet, and breaks plain http. */
const POLICY = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': ["'self'", 'data:'],
  'connect-src': "'self'",
  'form-action': "'none'",
  'base-uri': "'none'",
  'frame-ancestors': "'none'",
};

/** `/docs`: the API's reference, to read and to try. It needs no network, and "Authorize" takes the admin token. */
export async function docsRoutes(app: FastifyInstance): Promise<void> {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.headers({ 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' });
    done();
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: POLICY,
    theme: { title: 'whapi-resync-gateway API' },
    uiConfig: {
      deepLinking: true,
      defaultModelsExpandDepth: 0,
      tryItOutEnabled: false,
      // Runs in the browser: what is tried out here uses the token that was entered, never the session of the dashboard.
      requestInterceptor: (request: { credentials?: string }) => {
        request.credentials = 'omit';
        return request;
      },
    },
  });
}
