import swagger from '@fastify/swagger';
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { TAGS } from '../contract/operation.js';
import { WEBHOOK_PATHS } from '../contract/webhooks.js';
import { WHAPI_PATHS } from '../contract/whapi.js';
import { VERSION } from '../outgoing.js';
import { completeDocument, describePaths } from './openapi-parts.js';
import type { Document } from './openapi-parts.js';

const DESCRIPTION = `Stands between Whapi (a WhatsApp API) and your bots: makes resyncs itself, holds the messages they bring back, and forwards only genuinely new ones.

Times are ISO 8601 in UTC. Lists have pages: send \`next_cursor\` as \`cursor\` to get the next one.
Errors are problem details (RFC 9457) with a stable \`code\`; under \`/whapi\` they have the form of Whapi's errors.
Any request can also end with 408 \`GW_TIMEOUT\` when it does not arrive completely in time, or 431 \`GW_HEADERS_TOO_LARGE\`.
Twenty failed authentications a minute from one address are answered with 429 for the rest of that minute.`;

const SECURITY_SCHEMES = {
  admin: { type: 'http', scheme: 'bearer', description: 'The admin token (ADMIN_TOKEN).' },
  metrics: { type: 'http', scheme: 'bearer', description: 'METRICS_TOKEN. It opens `/metrics` only.' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'gw',
    description:
      'The cookie of `POST /session`, named `__Host-gw` where PUBLIC_URL is https. It also opens `/v1`, for the dashboard.',
  },
  webhookSecret: { type: 'http', scheme: 'bearer', description: 'The webhook secret of the channel.' },
  channelToken: { type: 'http', scheme: 'bearer', description: "The channel's own Whapi token." },
  channelTokenInQuery: {
    type: 'apiKey',
    in: 'query',
    name: 'token',
    description: "The channel's own Whapi token, as Whapi also takes it.",
  },
} as const;

const OPTIONS: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'whapi-resync-gateway',
      version: VERSION,
      description: DESCRIPTION,
      license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT.html' },
    },
    servers: [
      { url: '/', description: 'The gateway that serves this document.' },
      { url: 'http://127.0.0.1:8080', description: 'A gateway with the default HOST and PORT.' },
    ],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ admin: [] }],
    components: { securitySchemes: SECURITY_SCHEMES },
  },
  refResolver: {
    buildLocalReference: ({ $id }, _base, _fragment, index) => (typeof $id === 'string' ? $id : `Schema${index}`),
  },
  transformObject: (made) => {
    if (!('openapiObject' in made)) return made.swaggerObject;
    const document = made.openapiObject as Document;
    Object.assign(document.paths, describePaths(WEBHOOK_PATHS), describePaths(WHAPI_PATHS));
    completeDocument(document);
    return made.openapiObject;
  },
};

/** Lets `app.swagger()` describe the routes that are registered after this. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(swagger, OPTIONS);
}
