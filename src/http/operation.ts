import { getHealth, getOpenApi, getReadiness } from '../contract/operations/operation.js';
import { atMostEvery } from '../at-most-every.js';
import type { Effects } from '../effects.js';
import type { App } from './app.js';
import type { Upkeep } from '../store/upkeep.js';

export interface OperationOptions {
  readonly store: { readonly upkeep: Pick<Upkeep, 'probe'> };
  readonly effects: Pick<Effects, 'monotonic'>;
}

/** Anyone may ask whether the store takes writes, so asking must not cost a write each time. */
const PROBE_EVERY_MS = 1000;

/** `/healthz`, `/readyz`, `/openapi.json`: for those who run the gateway. No authentication: they show no data. */
export async function operationRoutes(app: App, { store, effects }: OperationOptions): Promise<void> {
  app.get('/healthz', { schema: getHealth }, () => ({ status: 'ok' as const }));
  const probe = atMostEvery(PROBE_EVERY_MS, effects, async () => await store.upkeep.probe());
  app.get('/readyz', { schema: getReadiness }, async () => {
    await probe();
    return { status: 'ready' as const };
  });
  let document: string | null = null; // made at the first request, when all routes are there
  app.get('/openapi.json', { schema: getOpenApi }, (_request, reply) => {
    void reply.type('application/json');
    return (document ??= JSON.stringify(app.swagger()));
  });
  await Promise.resolve();
}
