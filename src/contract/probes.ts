import { Type } from 'typebox';
import type { Static } from 'typebox';
import { MESSAGE_ID_EXAMPLE } from '../message-id.js';
import { Time, timeOrNull, VerdictSchema } from './fields.js';
import { oneOf, orNull, ref } from './schema.js';

export const NewProbeSchema = Type.Object(
  {
    message_id: Type.String({
      minLength: 1,
      maxLength: 1024,
      examples: [MESSAGE_ID_EXAMPLE],
      description:
        'A message of the channel, sent or received. Choose one that Whapi still has, or that a webhook brought in the last days, ' +
        'with a text of 20 characters or more, or a file: only then is a copy under another id recognized.',
    }),
    consent: Type.Literal(true, {
      'x-expected': 'true: you agree that this message is resynced on the real channel',
      description: 'You agree that this message is resynced on the real channel.',
    }),
    watch_seconds: Type.Optional(
      Type.Integer({
        minimum: 60,
        maximum: 259_200,
        default: 7200,
        description:
          'How long to watch for webhooks. A probe ends sooner when the message is back and nothing more comes.',
      }),
    ),
  },
  { $id: 'NewProbe', additionalProperties: false, description: 'Which message to resync.' },
);
export type NewProbe = Static<typeof NewProbeSchema>;

const sameness = (what: string) =>
  orNull(Type.Boolean({ description: `Whether the copy has the ${what} of the original; null: not known.` }));

const CallSchema = Type.Object({
  at: Time,
  duration_ms: orNull(Type.Integer()),
  status: orNull(Type.Integer({ description: "Whapi's HTTP status; null: no answer." })),
  outcome: oneOf(['found', 'missing', 'refused', 'busy', 'timeout', 'unreachable', 'interrupted']),
  reason: orNull(Type.String({ description: "Whapi's words, or what went wrong." })),
});

export const ProbeSchema = Type.Object(
  {
    channel: Type.String({ description: 'Name of the channel.' }),
    message_id: orNull(Type.String({ description: 'Null: forgotten, as old payloads are.' })),
    status: oneOf(['running', 'finished', 'failed', 'cancelled'], {
      description: 'failed: Whapi did not do the resync. cancelled: what was not known by then is not known.',
    }),
    summary: Type.String({ description: 'The result in words.' }),
    started_at: Time,
    watch_until: Time,
    finished_at: timeOrNull(),
    plain_get_before: orNull(CallSchema),
    call: orNull(CallSchema),
    plain_get: Type.Object({
      count: Type.Integer({ description: 'Plain GETs after the call.' }),
      found_at: timeOrNull('When the first of them was answered 200.'),
    }),
    compared_with: orNull(
      oneOf(['whapi', 'webhook', 'whapi_after'], {
        description: 'The original: from Whapi or an earlier webhook before the resync, or from Whapi after it.',
      }),
    ),
    webhooks: Type.Array(
      Type.Object({
        webhook: Type.String({ description: 'Id of the webhook.' }),
        position: Type.Integer(),
        received_at: Time,
        after_ms: Type.Integer({ description: 'Since the call with `resync=true`.' }),
        event: Type.String(),
        carrier: Type.String({ description: 'The array that carried the message.' }),
        verdict: ref(VerdictSchema),
        rule: Type.Integer(),
        deliveries: Type.Integer({ description: 'Deliveries to targets that carry it.' }),
        same_id: sameness('id'),
        same_chat: sameness('chat id'),
        same_time: sameness('timestamp'),
        same_content: sameness('content'),
        other_fields: Type.Array(Type.String(), { description: 'Names of other fields that differ.' }),
      }),
      { description: 'What carried the message after the call, oldest first; at most 50.' },
    ),
    findings: Type.Array(
      Type.Object({
        assumption: Type.String(),
        text: Type.String({ description: 'What the gateway assumes.' }),
        holds: orNull(Type.Boolean({ description: 'Null: not known.' })),
        observed: Type.String(),
        meaning: orNull(Type.String({ description: 'What a deviation means, and what to do.' })),
      }),
      { description: 'The assumptions of docs/whapi.md, with what was seen of each.' },
    ),
    report: Type.String({ description: 'The result as Markdown without personal data, for an issue.' }),
  },
  { $id: 'Probe', description: 'A resync of one message, watched to see how Whapi behaves on this channel.' },
);
export type Probe = Static<typeof ProbeSchema>;
