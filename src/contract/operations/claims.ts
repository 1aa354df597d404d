import { Type } from 'typebox';
import { ClaimOwnerQuery, ClaimParams, ClaimRequestSchema, ClaimSchema } from '../claims.js';
import { operation } from '../operation.js';
import { ref } from '../schema.js';

const security = [{ channelToken: [] }, { channelTokenInQuery: [] }] as const;
const AUTHENTICATION = "The bearer token is the channel's own Whapi token.";

export const claimMessage = operation({
  operationId: 'claimMessage',
  tags: ['claims'],
  summary: 'Claim a message',
  description:
    'Answers 201 to the first owner that claims the message, and again to the same one, whose time then starts anew. Others ' +
    `get 409 \`GW_CLAIMED\` with the holder until the claim ends. The gateway need not know the message. ${AUTHENTICATION}`,
  security,
  params: ClaimParams,
  body: ref(ClaimRequestSchema),
  response: { 201: ref(ClaimSchema) },
  'x-errors': ['GW_CLAIMED', 'GW_TOO_MANY_CLAIMS'],
});

export const releaseClaim = operation({
  operationId: 'releaseClaim',
  tags: ['claims'],
  summary: 'Give a claim back',
  description: `Ends the claim of this owner, so that another one can claim the message. Answers 204 as well if there is none. ${AUTHENTICATION}`,
  security,
  params: ClaimParams,
  querystring: ClaimOwnerQuery,
  response: { 204: Type.Null({ description: 'The owner has no claim on the message now.' }) },
  'x-errors': ['GW_CLAIMED'],
});
