import { Id, Name } from '../fields.js';
import { operation } from '../operation.js';
import { ChannelPreviewRequestSchema, PreviewSchema, TargetPreviewRequestSchema } from '../previews.js';
import { ref } from '../schema.js';

const READS = 'Runs the recorded webhooks since a time through judge, routing and delivery policies, once with the ';

export const previewTarget = operation({
  operationId: 'previewTarget',
  tags: ['targets'],
  summary: 'Preview a change of a target',
  description: `${READS}stored settings of the target and once with the changed ones. Nothing is written or sent.`,
  params: Id,
  body: ref(TargetPreviewRequestSchema),
  response: { 200: ref(PreviewSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const previewChannel = operation({
  operationId: 'previewChannel',
  tags: ['channels'],
  summary: 'Preview a change of a channel',
  description: `${READS}recorded verdicts and once with those of the changed settings, for each target. Nothing is written or sent.`,
  params: Name,
  body: ref(ChannelPreviewRequestSchema),
  response: { 200: ref(PreviewSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});
