import { Type } from 'typebox';
import type { Static } from 'typebox';

import { operation } from './operation.js';
import type { Operation } from './operation.js';
import { ref } from './schema.js';

/**
 * Where Whapi sends its webhooks. One route takes all of these forms; it reads the bytes itself and is described here,
 * because a wildcard has no form in OpenAPI.
 */

export const ReceiptSchema = Type.Object(
  {
    items: Type.Integer({ description: 'Items that the webhook holds.' }),
    verdicts: Type.Record(Type.String(), Type.Integer(), { description: 'Items by verdict.' }),
  },
  { $id: 'Receipt', description: 'A webhook that is stored, and how its items were judged.' },
);
export type Receipt = Static<typeof ReceiptSchema>;

export const WhapiWebhookSchema = Type.Unsafe<unknown>({
  $id: 'WhapiWebhook',
  description:
    'Any JSON, as Whapi sends it; its type is read from the body, not from `content-type`. A body of unknown shape is an ' +
    '`event` and is forwarded unchanged.',
});

const METHODS = ['post', 'put', 'patch', 'delete'] as const;
const channel = Type.String({ description: 'Name of the channel.' });
const secret = Type.String({ description: 'Webhook secret of the channel. Logs mask it.' });
const suffix = Type.String({
  description:
    "What Whapi's `path` and `method` modes append, such as `messages` or `messages/post`; may hold slashes.",
});

const FORMS = [
  { path: '/webhooks/{channel}', name: '', params: { channel } },
  { path: '/webhooks/{channel}/{suffix}', name: 'WithSuffix', params: { channel, suffix } },
  { path: '/webhooks/{channel}/s/{webhook_secret}', name: 'WithSecret', params: { channel, webhook_secret: secret } },
  {
    path: '/webhooks/{channel}/s/{webhook_secret}/{suffix}',
    name: 'WithSecretAndSuffix',
    params: { channel, webhook_secret: secret, suffix },
  },
] as const;

const WHERE_THE_SECRET_IS = {
  bearer: 'Whapi sends the webhook secret as a bearer token.',
  path: "The webhook secret is in the path, because Whapi's panel cannot set headers.",
};

/** The operations of each path, by HTTP method in lower case. */
export const WEBHOOK_PATHS: Readonly<Record<string, Readonly<Record<string, Operation>>>> = Object.fromEntries(
  FORMS.map(({ path, name, params }) => [
    path,
    Object.fromEntries(METHODS.map((method) => [method, receive(method, name, params)])),
  ]),
);

function receive(method: (typeof METHODS)[number], name: string, params: Operation['params'] & object): Operation {
  const isInPath = 'webhook_secret' in params;
  return operation({
    operationId: `${method}Webhook${name}`,
    tags: ['webhooks'],
    summary: `Receive a webhook from Whapi (${method.toUpperCase()})`,
    description:
      `${isInPath ? WHERE_THE_SECRET_IS.path : WHERE_THE_SECRET_IS.bearer} The gateway answers 200 only after the webhook, ` +
      'its verdicts and its deliveries are committed. After any other status Whapi sends the webhook again.',
    security: isInPath ? [] : [{ webhookSecret: [] }],
    params: Type.Object(params as Record<string, ReturnType<typeof Type.String>>),
    body: ref(WhapiWebhookSchema),
    response: { 200: ref(ReceiptSchema) },
    'x-errors': ['GW_NOT_FOUND', 'GW_CHANNEL_MISMATCH', 'GW_OVERLOADED', 'GW_LOOP'],
  });
}
