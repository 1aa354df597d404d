import { Type } from 'typebox';
import type { Static } from 'typebox';
import { MESSAGE_ID_EXAMPLE } from '../message-id.js';
import { Time } from './fields.js';

const DAY_SECONDS = 86_400;

const Owner = Type.String({
  minLength: 1,
  maxLength: 100,
  // A lone surrogate has no UTF-8: it would be stored as another name, which its owner could not renew.
  pattern: '^\\P{Cs}*$',
  'x-expected': '1 to 100 characters of valid Unicode',
  examples: ['order-flow'],
  description:
    'Who processes the message: the name of a flow, or one for each replica, such as its host name. The same owner may claim ' +
    'the message again.',
});

export const ClaimRequestSchema = Type.Object(
  {
    owner: Owner,
    ttl_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 7 * DAY_SECONDS,
        default: DAY_SECONDS,
        description: 'The claim ends after this time, unless the same owner claims the message again.',
      }),
    ),
  },
  { $id: 'ClaimRequest', additionalProperties: false, description: 'Who claims a message, and for how long.' },
);
export type ClaimRequest = Static<typeof ClaimRequestSchema>;

/** When a request does not say. */
export const DEFAULT_CLAIM_SECONDS = DAY_SECONDS;

export const ClaimSchema = Type.Object(
  {
    channel: Type.String({ description: 'Name of the channel that the token belongs to.' }),
    message_id: Type.String(),
    owner: Type.String(),
    claimed_at: Time,
    expires_at: Time,
  },
  { $id: 'Claim', description: 'A claim of a message.' },
);
export type Claim = Static<typeof ClaimSchema>;

/** `token` may stand beside it, as in Whapi's own API. */
export const ClaimOwnerQuery = Type.Object({ owner: Owner });

export const ClaimParams = Type.Object({
  message_id: Type.String({
    // A bot that claims a missing id would share one claim among all such messages, and leave out all but the first.
    minLength: 1,
    maxLength: 1024,
    description: 'Id of the message.',
    examples: [MESSAGE_ID_EXAMPLE],
  }),
});
