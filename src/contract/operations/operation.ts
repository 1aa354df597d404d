import { Type } from 'typebox';
import { DoctorQuery, DoctorReportSchema } from '../doctor.js';
import { operation } from '../operation.js';
import { ref } from '../schema.js';
import { HealthSchema, ReadinessSchema } from '../health.js';

export const runDoctor = operation({
  operationId: 'runDoctor',
  tags: ['operation'],
  summary: 'Check the gateway',
  description:
    'Checks everything that a working gateway depends on: store, disk, clock, each channel at Whapi, each target. Each ' +
    'finding says what to do.',
  querystring: DoctorQuery,
  response: { 200: ref(DoctorReportSchema) },
});

export const getHealth = operation({
  operationId: 'getHealth',
  tags: ['operation'],
  summary: 'Check that the process is alive',
  description: 'Answers as long as the process runs, whether or not the store works. Use it as a liveness probe.',
  security: [],
  response: { 200: ref(HealthSchema) },
});

export const getReadiness = operation({
  operationId: 'getReadiness',
  tags: ['operation'],
  summary: 'Check that the store takes writes',
  description:
    'Writes to the store, at most once a second, and answers 503 when that fails. Use it as a readiness probe.',
  security: [],
  response: { 200: ref(ReadinessSchema) },
  'x-errors': ['GW_STORE_UNAVAILABLE'],
});

export const getOpenApi = operation({
  operationId: 'getOpenApi',
  tags: ['operation'],
  summary: 'Get this document',
  description: 'Returns the OpenAPI 3.1 document of this API.',
  security: [],
  response: { 200: Type.Unsafe<string>({ description: 'An OpenAPI 3.1 document.' }) },
});

export const getMetrics = operation({
  operationId: 'getMetrics',
  tags: ['operation'],
  summary: 'Get metrics for Prometheus',
  description:
    'Counters, gauges and histograms in the text format of Prometheus. Takes METRICS_TOKEN or the admin token as a bearer ' +
    'token. A scrape reads nothing that grows with the data.',
  security: [{ metrics: [] }, { admin: [] }],
  produces: ['text/plain'],
  response: { 200: Type.Unsafe<string>({ type: 'string', description: 'Metrics in the text format of Prometheus.' }) },
});
