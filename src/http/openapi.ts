import swagger from '@fastify/swagger';
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';

interface Operation {
  requestBody?: { required?: boolean; content: Record<string, { schema?: { anyOf?: { type?: string }[] } }> };
}

const OPTIONS: FastifyDynamicSwaggerOptions = {
  refResolver: {
    buildLocalReference: ({ $id }, _base, _fragment, index) => (typeof $id === 'string' ? $id : `Schema${index}`),
  },
  openapi: {
    openapi: '3.1.0',
    info: { title: 'whapi-resync-gateway', version: '1' },
    components: { securitySchemes: { admin: { type: 'http', scheme: 'bearer' } } },
  },
  transformObject: (documents) => {
    if (!('openapiObject' in documents)) return documents.swaggerObject;
    for (const path of Object.values(documents.openapiObject.paths ?? {})) {
      for (const operation of Object.values(path ?? {}) as Operation[]) relaxBody(operation);
    }
    return documents.openapiObject;
  },
};

/** Lets `app.swagger()` describe the routes that are registered after this. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(swagger, OPTIONS);
}

/** Every body counts as required; one that may be null may as well be left out. */
function relaxBody({ requestBody }: Operation): void {
  if (!requestBody) return;
  const mayBeNull = Object.values(requestBody.content).some(({ schema }) =>
    schema?.anyOf?.some(({ type }) => type === 'null'),
  );
  if (mayBeNull) requestBody.required = false;
}
