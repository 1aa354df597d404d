import {
  DeliveryDetailSchema,
  DeliveryPageSchema,
  DeliveryQuery,
  DeliverySchema,
  RetryRequestSchema,
} from '../deliveries.js';
import { Id } from '../fields.js';
import { JobPageSchema, JobQuery, JobSchema, RetryResultSchema } from '../jobs.js';
import { operation } from '../operation.js';
import { ref } from '../schema.js';

export const listDeliveries = operation({
  operationId: 'listDeliveries',
  tags: ['deliveries'],
  summary: 'List deliveries',
  description: 'Returns the deliveries, newest first.',
  querystring: DeliveryQuery,
  response: { 200: ref(DeliveryPageSchema) },
});

export const getDelivery = operation({
  operationId: 'getDelivery',
  tags: ['deliveries'],
  summary: 'Get a delivery',
  description: 'Returns one delivery with its body and its attempts.',
  params: Id,
  response: { 200: ref(DeliveryDetailSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const retryDelivery = operation({
  operationId: 'retryDelivery',
  tags: ['deliveries'],
  summary: 'Retry a delivery',
  description: 'Sends a settled delivery again, or a pending one now instead of later.',
  params: Id,
  response: { 202: ref(DeliverySchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});

export const retryDeliveries = operation({
  operationId: 'retryDeliveries',
  tags: ['deliveries'],
  summary: 'Retry many deliveries',
  description:
    'Starts a job that sends every settled delivery that the filter finds again. With `dry_run` it only counts.',
  body: ref(RetryRequestSchema),
  response: { 202: ref(RetryResultSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});

export const listJobs = operation({
  operationId: 'listJobs',
  tags: ['jobs'],
  summary: 'List jobs',
  description: 'Returns the jobs, newest first.',
  querystring: JobQuery,
  response: { 200: ref(JobPageSchema) },
});

export const getJob = operation({
  operationId: 'getJob',
  tags: ['jobs'],
  summary: 'Get a job',
  description: 'Returns one job with its progress.',
  params: Id,
  response: { 200: ref(JobSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const cancelJob = operation({
  operationId: 'cancelJob',
  tags: ['jobs'],
  summary: 'Cancel a job',
  description: 'Stops a job. What it has done stays done. A job that is over stays as it is.',
  params: Id,
  response: { 200: ref(JobSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});
