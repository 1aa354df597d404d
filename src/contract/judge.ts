import { Type } from 'typebox';
import type { Static } from 'typebox';
import { WEBHOOK_HTTP_METHODS } from '../model.js';
import { LATE_AFTER } from './channels.js';
import { ChannelName, VerdictSchema } from './fields.js';
import { EvidenceSchema } from './items.js';
import { oneOf, orNull, ref } from './schema.js';
import { targetSettings } from './targets.js';

const { channels, events, deliver, split } = targetSettings;

export const TrialSettingsSchema = Type.Object(
  {
    late_after_seconds: Type.Optional(LATE_AFTER),
    targets: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Partial(Type.Object({ channels, events, deliver, split }), { additionalProperties: false }),
        { maxProperties: 1000, description: 'Settings of targets, by target id.' },
      ),
    ),
  },
  {
    $id: 'TrialSettings',
    additionalProperties: false,
    description: 'Settings to try instead of the stored ones. No other setting decides a verdict or a route.',
  },
);
export type TrialSettings = Static<typeof TrialSettingsSchema>;

export const JudgeRequestSchema = Type.Object(
  {
    webhook: Type.Optional(
      Type.String({
        description: 'Id of a stored webhook, which is judged as at its arrival. Alone or with `settings`.',
      }),
    ),
    channel: Type.Optional(ChannelName),
    body: Type.Optional(
      Type.String({ description: 'The body of a webhook as text, which is judged as if it came now. With `channel`.' }),
    ),
    method: Type.Optional(oneOf(WEBHOOK_HTTP_METHODS, { description: 'HTTP method of the webhook. Default: POST.' })),
    suffix: Type.Optional(
      Type.String({
        maxLength: 1000,
        pattern: '^(/.*)?$',
        'x-expected': 'a path that begins with "/"',
        examples: ['/messages/post'],
        description: "What follows the channel's URL. Default: nothing.",
      }),
    ),
    settings: Type.Optional(ref(TrialSettingsSchema)),
  },
  { $id: 'JudgeRequest', additionalProperties: false, description: 'A webhook to judge without recording it.' },
);
export type JudgeRequest = Static<typeof JudgeRequestSchema>;

const positions = (description: string) => Type.Array(Type.Integer(), { description });

export const TrialSchema = Type.Object(
  {
    channel: Type.String({ description: 'Name of the channel.' }),
    event: Type.String({ description: 'Such as `messages.post`.' }),
    items: Type.Array(
      Type.Object({
        position: Type.Integer({ description: 'Index among the items, from 0.' }),
        carrier: Type.String({ description: 'The array that holds it; empty: the body as a whole is the item.' }),
        message_id: orNull(Type.String()),
        verdict: ref(VerdictSchema),
        rule: Type.Integer({ description: 'Row of the decision table that gives the verdict.' }),
        reason: Type.String({ description: 'That row in words.' }),
        held: Type.Boolean({ description: 'A target that subscribes to it would not get it because of its verdict.' }),
        start: orNull(Type.Integer({ description: 'Offset of its first byte in the body (UTF-8).' })),
        end: orNull(Type.Integer({ description: 'Offset of the byte after its last.' })),
        evidence: ref(EvidenceSchema),
      }),
    ),
    routes: Type.Array(
      Type.Object({
        target: Type.String({ description: 'Id of the target.' }),
        name: Type.String(),
        requests: Type.Array(
          Type.Object({
            positions: positions('Positions of the items that it carries.'),
            bytes: Type.Integer({ description: 'Length of its body.' }),
          }),
          { description: 'What it would be sent, in order; empty: everything is held.' },
        ),
        held: positions('Positions of the items that it would not get.'),
      }),
      { description: 'The targets that subscribe to the event.' },
    ),
  },
  { $id: 'Trial', description: 'What the gateway would do with a webhook.' },
);
export type Trial = Static<typeof TrialSchema>;
