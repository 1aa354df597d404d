import type { FastifyInstance } from 'fastify';
import type { Upkeep } from '../store/upkeep.js';

export interface OperationOptions {
  readonly store: { readonly upkeep: Pick<Upkeep, 'probe'> };
}

/** `/healthz`, `/readyz`, `/openapi.json`: for those who run the gateway. No authentication: they tell nothing. */
export async function operationRoutes(app: FastifyInstance, { store }: OperationOptions): Promise<void> {
  const tags = ['operation'];
  app.get('/healthz', { schema: { tags, summary: 'The process lives' } }, () => ({ status: 'ok' }));
  app.get('/readyz', { schema: { tags, summary: 'The store takes writes' } }, async () => {
    await store.upkeep.probe();
    return { status: 'ready' };
  });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  await Promise.resolve();
}
