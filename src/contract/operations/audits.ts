import {
  AuditMessagePageSchema,
  AuditPageSchema,
  AuditQuery,
  AuditReleaseRequestSchema,
  AuditReleaseSchema,
  AuditSchema,
  NewAuditSchema,
} from '../audits.js';
import { Id } from '../fields.js';
import { operation } from '../operation.js';
import { orNull, pageQuery, ref } from '../schema.js';

export const createAudit = operation({
  operationId: 'createAudit',
  tags: ['audits'],
  summary: 'Start an audit',
  description:
    "Compares Whapi's messages with those that webhooks delivered, to find messages that no webhook delivered. Runs in the " +
    'background: follow it with `getAudit`.',
  body: ref(NewAuditSchema),
  response: { 202: ref(AuditSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const listAudits = operation({
  operationId: 'listAudits',
  tags: ['audits'],
  summary: 'List audits',
  description: 'Returns audits and seedings, newest first.',
  querystring: AuditQuery,
  response: { 200: ref(AuditPageSchema) },
});

export const getAudit = operation({
  operationId: 'getAudit',
  tags: ['audits'],
  summary: 'Get an audit',
  description: 'Returns one audit or seeding with its counts.',
  params: Id,
  response: { 200: ref(AuditSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const listAuditMessages = operation({
  operationId: 'listAuditMessages',
  tags: ['audits'],
  summary: 'List missing messages',
  description: 'Returns the messages that no webhook delivered, oldest first.',
  params: Id,
  querystring: pageQuery({}),
  response: { 200: ref(AuditMessagePageSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const cancelAudit = operation({
  operationId: 'cancelAudit',
  tags: ['audits'],
  summary: 'Cancel an audit',
  description: 'Stops further calls to Whapi. What the audit found stays. An audit that is over stays as it is.',
  params: Id,
  response: { 200: ref(AuditSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const releaseAudit = operation({
  operationId: 'releaseAudit',
  tags: ['audits'],
  summary: 'Release missing messages',
  description: 'Sends the messages that no webhook delivered, once each, to targets that want `late` messages.',
  params: Id,
  body: orNull(ref(AuditReleaseRequestSchema)),
  response: { 202: ref(AuditReleaseSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});
