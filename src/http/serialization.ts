import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import type { FastifyInstance, FastifySerializerCompiler } from 'fastify';

/**
 * Fastify's own compiler, at the first answer of each schema. At the start it took as long as everything else together: half a
 * second for the answers of all routes, of which most are never sent.
 */
export function serializerCompiler(app: Pick<FastifyInstance, 'getSchemas'>): FastifySerializerCompiler<unknown> {
  const compile = once(() => SerializerSelector()(app.getSchemas(), {}));
  return ({ schema, method, url, httpStatus = 'default' }) => {
    const serializer = once(() => compile()({ schema, method, url, httpStatus }));
    return (answer) => serializer()(answer);
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}
