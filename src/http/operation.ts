import { getHealth, getOpenApi, getReadiness } from '../contract/operations/operation.js';
import type { App } from './app.js';
import type { Upkeep } from '../store/upkeep.js';

export interface OperationOptions {
  readonly store: { readonly upkeep: Pick<Upkeep, 'probe'> };
}

/** `/healthz`, `/readyz`, `/openapi.json`: for those who run the gateway. No authentication: they show no data. */
export async function operationRoutes(app: App, { store }: OperationOptions): Promise<void> {
  app.get('/healthz', { schema: getHealth }, () => ({ status: 'ok' as const }));
  app.get('/readyz', { schema: getReadiness }, async () => {
    await store.upkeep.probe();
    return { status: 'ready' as const };
  });
  app.get('/openapi.json', { schema: getOpenApi }, () => app.swagger());
  await Promise.resolve();
}
