import { Name } from '../fields.js';
import { operation } from '../operation.js';
import { NewProbeSchema, ProbeSchema } from '../probes.js';
import { ref } from '../schema.js';

export const startProbe = operation({
  operationId: 'startProbe',
  tags: ['channels'],
  summary: 'Probe how Whapi resyncs on a channel',
  description:
    'Resyncs one message of the real channel and watches what comes of it: the answer to the call, the webhooks, and plain GETs. ' +
    'Runs in the background: follow it with `getProbe`. The message is registered first, so bots do not get it. It takes about ' +
    'thirty calls to Whapi at most in two hours.',
  params: Name,
  body: ref(NewProbeSchema),
  response: { 202: ref(ProbeSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});

export const getProbe = operation({
  operationId: 'getProbe',
  tags: ['channels'],
  summary: 'Get the last probe of a channel',
  description:
    'Says which assumptions about Whapi hold on this channel, and what each deviation means. `report` can be pasted into an issue.',
  params: Name,
  response: { 200: ref(ProbeSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const cancelProbe = operation({
  operationId: 'cancelProbe',
  tags: ['channels'],
  summary: 'Cancel the running probe of a channel',
  description:
    'Ends the probe, for example after a mistyped message id. It makes no more calls; its result says what it has seen so far. ' +
    'If Whapi was asked for the message, it stays registered: a webhook that still comes is held.',
  params: Name,
  response: { 200: ref(ProbeSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});
