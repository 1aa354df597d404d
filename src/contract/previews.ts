import { Type } from 'typebox';
import type { Static } from 'typebox';
import { PREVIEW_OUTCOMES } from '../model.js';
import { ChannelChangeSchema } from './channels.js';
import { time, Time, VerdictSchema } from './fields.js';
import { oneOf, orNull, ref } from './schema.js';
import { TargetChangeSchema } from './targets.js';

const since = Type.Optional(time('Earliest time of the webhooks to read, ISO 8601 with a zone. Default: a day ago.'));

export const TargetPreviewRequestSchema = Type.Object(
  { changes: ref(TargetChangeSchema), since },
  {
    $id: 'TargetPreviewRequest',
    additionalProperties: false,
    description:
      'Settings of a target to try on recorded traffic. Those that decide nothing, such as `url`, are ignored.',
  },
);
export type TargetPreviewRequest = Static<typeof TargetPreviewRequestSchema>;

export const ChannelPreviewRequestSchema = Type.Object(
  { changes: ref(ChannelChangeSchema), since },
  {
    $id: 'ChannelPreviewRequest',
    additionalProperties: false,
    description:
      'Settings of a channel to try on recorded traffic. `late_after_seconds`, `on_replay`, `replay_after_seconds` and ' +
      '`replay_messages` decide verdicts. The others are ignored.',
  },
);
export type ChannelPreviewRequest = Static<typeof ChannelPreviewRequestSchema>;

const outcome = (description: string) => oneOf(PREVIEW_OUTCOMES, { description });
const count = Type.Integer();
const counts = (description: string) =>
  Type.Object(
    Object.fromEntries(PREVIEW_OUTCOMES.map((name) => [name, count])) as Record<
      (typeof PREVIEW_OUTCOMES)[number],
      typeof count
    >,
    { description },
  );

export const DifferenceSchema = Type.Object(
  {
    before: outcome('With the stored settings.'),
    after: outcome('With the changed settings.'),
    count: Type.Integer({ description: 'How many items.' }),
    items: Type.Array(
      Type.Object({
        id: Type.String({ description: 'Id of the item.' }),
        webhook: Type.String({ description: 'Id of the webhook that carried it.' }),
        channel: Type.String(),
        event: Type.String({ description: 'Such as `messages.post`.' }),
        message_id: orNull(Type.String()),
        received_at: Time,
        verdict: ref(VerdictSchema),
        rule: Type.Integer({ description: 'Row of the decision table that gives the verdict.' }),
      }),
      { description: 'The first hundred, oldest first, with their verdicts under the changed settings.' },
    ),
  },
  { $id: 'Difference', description: 'Items whose outcome the change alters in the same way.' },
);

export type Difference = Static<typeof DifferenceSchema>;

export const PreviewSchema = Type.Object(
  {
    since: time('From when on webhooks were read: later than requested if `complete` is false.'),
    until: Time,
    complete: Type.Boolean({ description: 'False: only the newest 50,000 webhooks were read.' }),
    webhooks: Type.Integer({ description: 'Webhooks read, without those that the release of an audit recorded.' }),
    notes: Type.Array(Type.String(), {
      description:
        'What it cannot know because it rests on what was recorded before `since`, in words. Empty: nothing.',
    }),
    targets: Type.Array(
      Type.Object({
        target: Type.String({ description: 'Id of the target.' }),
        name: Type.String(),
        before: counts('Items by outcome with the stored settings.'),
        after: counts('Items by outcome with the changed settings.'),
        differences: Type.Array(ref(DifferenceSchema), { description: 'The most frequent first.' }),
      }),
    ),
  },
  {
    $id: 'Preview',
    description:
      'What would become of recorded items under the stored and under the changed settings. `sent`: attempted. `held`: because ' +
      'of the verdict. `expired`: too old. `superseded`, `answered`, `withheld`: left out by the policies of the target, as a ' +
      'delivery with that status. `not_subscribed`: the target does not take the event or the channel.',
  },
);
export type Preview = Static<typeof PreviewSchema>;
