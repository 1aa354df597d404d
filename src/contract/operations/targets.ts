import { Type } from 'typebox';
import { ForceQuery, Id } from '../fields.js';
import { operation } from '../operation.js';
import { orNull, pageQuery, ref } from '../schema.js';
import {
  ChangedTargetSchema,
  CreatedTargetSchema,
  NewTargetSchema,
  RotatedSecretSchema,
  RotationSchema,
  TargetChangeSchema,
  TargetPageSchema,
  TargetSchema,
  TargetTestSchema,
} from '../targets.js';

export const createTarget = operation({
  operationId: 'createTarget',
  tags: ['targets'],
  summary: 'Add a target',
  description:
    'Adds a target and returns its signing secret, which is shown only here. It receives webhooks from now on.',
  body: ref(NewTargetSchema),
  response: { 201: ref(CreatedTargetSchema) },
});

export const listTargets = operation({
  operationId: 'listTargets',
  tags: ['targets'],
  summary: 'List targets',
  description: 'Returns the targets, oldest first.',
  querystring: pageQuery({}),
  response: { 200: ref(TargetPageSchema) },
});

export const getTarget = operation({
  operationId: 'getTarget',
  tags: ['targets'],
  summary: 'Get a target',
  description: 'Returns one target with its settings, its circuit breaker and its pending deliveries.',
  params: Id,
  response: { 200: ref(TargetSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const updateTarget = operation({
  operationId: 'updateTarget',
  tags: ['targets'],
  summary: 'Change a target',
  description:
    'Changes the fields that the body names. Setting `url`, or `enabled` to true, also closes the circuit breaker.',
  params: Id,
  body: ref(TargetChangeSchema),
  response: { 200: ref(ChangedTargetSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const deleteTarget = operation({
  operationId: 'deleteTarget',
  tags: ['targets'],
  summary: 'Remove a target',
  description:
    'Removes a target at once: nothing is sent to it any more, and its pending deliveries end as `dead` in the background. If ' +
    'there are any, it is refused with `GW_UNDER_WAY` and their number, unless `force` is true.',
  params: Id,
  querystring: ForceQuery,
  response: { 204: Type.Null({ description: 'The target was removed.' }) },
  'x-errors': ['GW_NOT_FOUND', 'GW_UNDER_WAY'],
});

export const rotateTargetSecret = operation({
  operationId: 'rotateTargetSecret',
  tags: ['targets'],
  summary: 'Rotate the secret of a target',
  description:
    'Sets a new signing secret and returns it. Until the grace period ends, requests carry signatures by both secrets.',
  params: Id,
  body: orNull(ref(RotationSchema)),
  response: { 200: ref(RotatedSecretSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});

export const testTarget = operation({
  operationId: 'testTarget',
  tags: ['targets'],
  summary: 'Send a test event to a target',
  description:
    'Sends an empty event that the target subscribes to, past the queue, and returns the answer. A failure of the target ' +
    'is not an error of this operation: see `delivered` and `error`.',
  params: Id,
  response: { 200: ref(TargetTestSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});
