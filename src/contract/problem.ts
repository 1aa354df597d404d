import { Type } from 'typebox';
import type { Static } from 'typebox';
import { STATUS_OF } from '../errors.js';
import type { GatewayErrorCode } from '../errors.js';
import { ref } from './schema.js';

export const ErrorCodeSchema = Type.Unsafe<GatewayErrorCode>(
  Type.String({
    $id: 'ErrorCode',
    enum: Object.keys(STATUS_OF),
    description: 'Stable code of an error. Programs should decide by it, not by the text.',
  }),
);

export const ProblemSchema = Type.Object(
  {
    title: Type.String({ description: 'The HTTP status in words.' }),
    status: Type.Integer({ description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What is wrong, and what to do.' }),
    code: ref(ErrorCodeSchema),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'JSON pointer to the field.' }),
          message: Type.String({ description: 'What is wrong with it.' }),
        }),
        { description: 'The first 20 invalid fields of the request; with `GW_UNDER_WAY`, what is under way.' },
      ),
    ),
    holder: Type.Optional(
      Type.Object(
        {
          owner: Type.String(),
          claimed_at: Type.String({ format: 'date-time' }),
          expires_at: Type.String({ format: 'date-time' }),
        },
        { description: 'With `GW_CLAIMED`: who has claimed the message, and until when.' },
      ),
    ),
  },
  { $id: 'Problem', description: 'An error, as RFC 9457 problem details.' },
);
export type Problem = Static<typeof ProblemSchema>;
