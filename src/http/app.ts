import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

/** The server as its routes see it: the schema of a route gives its handler the types of body, query and answer. */
export type App = Parameters<FastifyPluginAsyncTypebox>[0];
