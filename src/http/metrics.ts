import type { FastifyReply, FastifyRequest } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Metric } from 'prom-client';
import { getMetrics } from '../contract/operations/operation.js';
import type { Metrics } from '../metrics.js';
import { VERSION } from '../outgoing.js';
import type { Readings } from '../readings.js';
import type { App } from './app.js';
import { bearerOf, digestOf, isSecret } from './auth.js';
import type { AdminAccess } from './auth.js';
import { familiesOf } from './metric-families.js';
import type { Family, Labels } from './metric-families.js';

export interface MetricsOptions extends AdminAccess {
  /** Opens `/metrics` and nothing else; null: only the admin token does. */
  readonly metricsToken: string | null;
  readonly metrics: Metrics;
  readonly readings: () => Promise<Omit<Readings, 'pendingBytes'>>;
  readonly pendingBytes: () => number;
}

/** Counters of prom-client whose names promtool refuses: they are no counters. */
const REFUSED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** `/metrics` for Prometheus. Nothing is measured for it but plain numbers until the first scrape. */
export async function metricsRoutes(app: App, options: MetricsOptions): Promise<void> {
  const { readings, pendingBytes } = options;
  let current: Readings;
  let registry: Registry | null = null;
  app.get('/metrics', { schema: getMetrics, onRequest: requireMetricsToken(options) }, async (_request, reply) => {
    current = { ...(await readings()), pendingBytes: pendingBytes() };
    registry ??= createRegistry(
      familiesOf({ ...options, readings: () => current, version: VERSION }),
      current.replica === null ? {} : { replica: current.replica },
    );
    void reply.type(registry.contentType);
    return await registry.metrics();
  });
  await Promise.resolve();
}

/** Never the cookie of the dashboard: monitors have a token. */
function requireMetricsToken({ adminToken, metricsToken, tokenPlace, refuse, onAuthenticated }: MetricsOptions) {
  const digests = [adminToken, ...(metricsToken === null ? [] : [metricsToken])].map(digestOf);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const token = bearerOf(request);
    if (!digests.some((digest) => isSecret(token, digest))) {
      const problem = token === null ? 'Missing token' : 'Wrong token';
      await refuse(
        request,
        reply,
        `${problem}. Send "Authorization: Bearer <token>" with the value of METRICS_TOKEN, or with ${tokenPlace}.`,
      );
    }
    onAuthenticated(request);
  };
}

/** @param labels of every sample */
function createRegistry(families: readonly Family[], labels: Labels): Registry {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  collectDefaultMetrics({ register: registry });
  for (const name of REFUSED) registry.removeSingleMetric(name);
  for (const family of families) registry.registerMetric(asMetric(family));
  return registry;
}

/**
 * What prom-client's registry asks of a metric. Its own counters take 400 ns for each labelled count, and its histograms
 * take no counts at all: ours are plain numbers until a scrape.
 */
function asMetric({ name, help, type, samples }: Family): Metric {
  const get = () => ({
    ...{ name, help, type, aggregator: 'sum' },
    values: samples().map(({ labels, value, suffix }) => ({
      ...{ labels, value },
      ...(suffix !== undefined && { metricName: name + suffix }),
    })),
  });
  return { name, help, get } as unknown as Metric;
}
