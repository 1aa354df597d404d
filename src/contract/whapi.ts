import { Type } from 'typebox';
import type { Static } from 'typebox';
import { ErrorCodeSchema } from './problem.js';
import { operation } from './operation.js';
import type { Operation } from './operation.js';
import { MESSAGE_ID_EXAMPLE } from '../message-id.js';
import { ref } from './schema.js';

/** Whapi's API under the gateway's URL. One route passes all of it through; described here, as a wildcard cannot be. */

export const WhapiErrorSchema = Type.Object(
  {
    error: Type.Object({
      code: Type.Integer({ description: 'The HTTP status.' }),
      message: Type.String({ description: 'What is wrong, and what to do.' }),
      details: ref(ErrorCodeSchema),
    }),
  },
  { $id: 'WhapiError', description: "An error of the gateway in the form of Whapi's own errors." },
);
export type WhapiError = Static<typeof WhapiErrorSchema>;

export const WhapiBodySchema = Type.Unsafe<unknown>({
  $id: 'WhapiBody',
});

/** Methods that `/whapi` passes through. */
export const WHAPI_METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'] as const;
const WITHOUT_A_BODY: ReadonlySet<string> = new Set(['get', 'head', 'options']);
const security = [{ channelToken: [] }, { channelTokenInQuery: [] }] as const;
const HOW =
  "Passes the call to Whapi and its answer back, both unchanged. The bearer token is the channel's own Whapi token: a client " +
  'of Whapi changes its base URL and nothing else.';
const PREFLIGHT = "A browser's CORS preflight needs no token. Without one it goes to `WHAPI_BASE_URL`.";
const path = Type.String({ description: "Path in Whapi's API, such as `messages/text`; may hold slashes." });

const getWhapiMessage = operation({
  operationId: 'getWhapiMessage',
  tags: ['whapi'],
  summary: 'Get a message from Whapi, or resync it',
  description:
    `${HOW} With \`resync=true\` the gateway registers the id before it calls Whapi, so that the message that comes back is ` +
    '`restored`, not `new`.',
  security,
  params: Type.Object({
    message_id: Type.String({ description: 'Id of the message.', examples: [MESSAGE_ID_EXAMPLE] }),
  }),
  querystring: Type.Object({
    resync: Type.Optional(Type.Boolean({ description: 'Has Whapi bring a lost message back.' })),
  }),
  response: { 200: ref(WhapiBodySchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

/** The operations of each path, by HTTP method in lower case. */
export const WHAPI_PATHS: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  '/whapi/messages/{message_id}': { get: getWhapiMessage },
  '/whapi/{path}': Object.fromEntries(WHAPI_METHODS.map((method) => [method, passThrough(method)])),
};

function passThrough(method: (typeof WHAPI_METHODS)[number]): Operation {
  return operation({
    operationId: `${method}Whapi`,
    tags: ['whapi'],
    summary: `Call Whapi (${method.toUpperCase()})`,
    description: method === 'options' ? `${HOW} ${PREFLIGHT}` : HOW,
    security,
    params: Type.Object({ path }),
    ...(!WITHOUT_A_BODY.has(method) && { body: ref(WhapiBodySchema) }),
    response: { 200: ref(WhapiBodySchema) },
  });
}
