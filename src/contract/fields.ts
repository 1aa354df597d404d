import { Type } from 'typebox';
import { TARGET_MODES, VERDICTS } from '../model.js';
import type { Verdict } from '../model.js';
import { oneOf, orNull, pathParams } from './schema.js';

/**
 * Fields that several resources share. `x-expected` says in words what a pattern takes, and the first of `examples` is
 * shown beside it: errors use both (http/schema-words.ts). `writeOnly` marks a secret, which no error repeats.
 */

/** ISO 8601, UTC. `format` is for readers: requests are checked by code of our own, which says what is wrong. */
export const time = (description = 'ISO 8601, UTC.') => Type.String({ format: 'date-time', description });
export const Time = time();
export const timeOrNull = (description?: string) => orNull(time(description));

export const VerdictSchema = Type.Unsafe<Verdict>(
  Type.String({
    $id: 'Verdict',
    enum: [...VERDICTS],
    description:
      'What the gateway decided about an item. `new`: not seen before. `late`: not seen before, but older than what its ' +
      'chat already received. `restored`: a resync brought it back. `duplicate`: already received. `event`: anything else.',
  }),
);

export const VerdictFilter = oneOf(VERDICTS, { description: 'Only items with this verdict.' });

export const ModeSchema = oneOf(TARGET_MODES, {
  description:
    "How the event and its method show in the request, as in Whapi's modes: in the body, the path, or the HTTP method.",
});

export const CHANNEL_NAME = '^[a-z0-9][a-z0-9-]{0,62}$';
export const CHANNEL_NAME_WORDS = 'a channel name: lower-case letters, digits and "-", at most 63 characters';
export const ChannelName = Type.String({
  pattern: CHANNEL_NAME,
  description: 'Name of a channel.',
  'x-expected': CHANNEL_NAME_WORDS,
  examples: ['shop'],
});

/** How targets and webhooks name events: `*`, `messages`, `messages.post`, `statuses.*` … */
const EVENT_PATTERN = '^(\\*|[A-Za-z_]{1,64}(\\.(\\*|post|put|patch|delete))?)$';

export const EventFilter = Type.String({
  pattern: EVENT_PATTERN,
  'x-expected': 'an event of Whapi, with or without its method',
  examples: ['messages.post'],
  description: 'An event such as `messages.post`; `messages` or `messages.*` for every method.',
});

/** Names of events in a request's body. The server checks them further, with a clearer error than a pattern gives. */
export const EventNames = Type.Array(Type.String({ maxLength: 100 }), {
  minItems: 1,
  maxItems: 100,
  description:
    "Events such as `*`, `messages`, `messages.post` or `statuses.*`. Whapi's old names (`message`, `ack`) become the new ones.",
});

/** Filters of lists and of bulk work by time. */
export const range = {
  since: Type.Optional(time('Earliest time, ISO 8601 with a zone.')),
  until: Type.Optional(time('Latest time, ISO 8601 with a zone.')),
};

/** The query of a removal. */
export const ForceQuery = Type.Object(
  {
    force: Type.Optional(
      Type.Boolean({ default: false, description: 'Remove it even if something is under way (`GW_UNDER_WAY`).' }),
    ),
  },
  { additionalProperties: false },
);

export const Id = pathParams('id', 'The `id` of the object, as its list gives it.');
export const Name = pathParams('name', 'The `name` of the channel.', 'shop');
