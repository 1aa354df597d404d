import { Type } from 'typebox';
import type { Static } from 'typebox';
import { bulkOptions, ExplainedDeliverySchema } from './deliveries.js';
import { Time, timeOrNull, VerdictFilter } from './fields.js';
import {
  EvidenceSchema,
  heldFilter,
  heldOnly,
  itemFields,
  itemFilters,
  itemPlaceFields,
  releasedVerdict,
  releaseTargets,
} from './items.js';
import { ResyncMessageSchema } from './resyncs.js';
import { oneOf, orNull, pageOf, pageQuery, ref } from './schema.js';

export const MessageSchema = Type.Object(
  { ...itemFields, message_id: Type.String(), evidence: ref(EvidenceSchema) },
  { $id: 'Message', description: 'One sighting of a message: an item that is a message.' },
);
export type Message = Static<typeof MessageSchema>;

export const MessagePageSchema = pageOf(MessageSchema);

export const SightingSchema = Type.Object(
  { ...itemFields, ...itemPlaceFields, message_id: Type.String(), evidence: ref(EvidenceSchema) },
  { $id: 'Sighting', description: 'One sighting of a message, with its place in its webhook.' },
);
export type Sighting = Static<typeof SightingSchema>;

export const StepSchema = Type.Object(
  {
    at: Time,
    kind: oneOf([
      'sighting',
      'seeded',
      'found',
      'registered',
      'asked',
      'restored',
      'delivery',
      'release',
      'attempt',
      'not_sent',
      'claimed',
    ]),
    text: Type.String({ description: 'What happened.' }),
  },
  { $id: 'Step', description: 'One thing that happened to a message.' },
);
export type Step = Static<typeof StepSchema>;

export const ExplanationSchema = Type.Object(
  {
    channel: Type.String({ description: 'Name of the channel.' }),
    message_id: Type.String(),
    ledger: orNull(
      Type.Object(
        {
          first_seen_at: timeOrNull(
            'When a webhook first carried it; null: it was seeded or requested, and no webhook carried it.',
          ),
          last_seen_at: Time,
          rule: orNull(Type.Integer({ description: 'Row of the decision table that first judged it.' })),
          seeded_at: timeOrNull("When a seeding found it in Whapi's list."),
        },
        { description: 'What the ledger remembers; null: nothing.' },
      ),
    ),
    timeline: Type.Array(ref(StepSchema), { description: 'Everything below in order of time, in words.' }),
    sightings: Type.Array(ref(SightingSchema)),
    resyncs: Type.Array(ref(ResyncMessageSchema)),
    audits: Type.Array(
      Type.Object({
        audit: Type.String({ description: 'Id of the audit.' }),
        found_at: Time,
        released_at: timeOrNull(),
      }),
      { description: 'Audits that found that no webhook delivered it.' },
    ),
    claim: orNull(
      Type.Object(
        { owner: Type.String(), claimed_at: Time, expires_at: Time },
        { description: 'The newest claim of the message, which may have ended; null: none.' },
      ),
    ),
    deliveries: Type.Array(ref(ExplainedDeliverySchema)),
  },
  { $id: 'Explanation', description: 'Everything that happened to a message.' },
);
export type Explanation = Static<typeof ExplanationSchema>;

export const MessageQuery = pageQuery({
  ...itemFilters,
  verdict: Type.Optional(VerdictFilter),
  held: Type.Optional(heldFilter),
});

export const MessageReleaseRequestSchema = Type.Object(
  {
    ...itemFilters,
    verdict: Type.Optional(releasedVerdict),
    held: Type.Optional(heldOnly),
    targets: Type.Optional(releaseTargets),
    ...bulkOptions,
  },
  { $id: 'MessageReleaseRequest', additionalProperties: false, description: 'Which held messages to send.' },
);
export type MessageReleaseRequest = Static<typeof MessageReleaseRequestSchema>;

export const MessageParams = Type.Object({
  channel: Type.String({ description: 'Name of the channel.' }),
  message_id: Type.String({ description: 'Id of the message.' }),
});
