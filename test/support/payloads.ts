import fc from 'fast-check';

/** Random JSON as text, with white space, escapes and numbers that no serializer would write. */

const space = fc.constantFrom('', '', '', ' ', '\n  ', '\t', '\r\n');

const number = fc.oneof(
  fc.constantFrom('18446744073709552000', '9007199254740993', '1.10', '1e400', '-1E+400', '-0.0', '-0', '0', '1e-9'),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
);

/** ASCII text with every character escaped. */
const escaped = (text: string): string =>
  Array.from(text, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');

const string = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  fc.string({ unit: 'grapheme-ascii' }).map((text) => `"${escaped(text)}"`),
  // Runs of characters that a scanner looks for, also longer than the length at which it changes its algorithm.
  fc
    .array(fc.constantFrom('\\\\', '\\"', '\\/', '\\ud800', 'a', 'é', '👋', '{', '}', '[', ']', ',', ':'), {
      maxLength: 90,
    })
    .map((parts) => `"${parts.join('')}"`),
);

export type Members = readonly (readonly [key: string, value: string])[];

/** An object's text, with `spaces` around every key and value. */
export function objectText(members: Members, spaces = ''): string {
  return `{${members.map(([key, value]) => `${spaces}${key}${spaces}:${spaces}${value}${spaces}`).join()}}`;
}

const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    number,
    string,
    fc.constantFrom('true', 'false', 'null', '[]', '{}'),
    fc
      .tuple(fc.array(tie('json'), { maxLength: 4 }), space)
      .map(([values, s]) => `[${values.map((value) => s + value + s).join()}]`),
    fc
      .tuple(fc.array(fc.tuple(string, tie('json')), { maxLength: 4 }), space)
      .map(([members, s]) => objectText(members, s)),
  ),
}));
export { json };

/** Few ids, so that they collide. */
export const IDS = ['id-1', 'id-2', 'id-3', 'id-4'];
const quoted = (...reason: string[]): fc.Arbitrary<string> =>
  fc.constantFrom(...reason.map((word) => JSON.stringify(word)));
const id = fc.oneof({ weight: 8, arbitrary: quoted(...IDS) }, { weight: 1, arbitrary: json });

/** An object with some of the fields, and possibly one without a meaning. */
function object(fields: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string> {
  const members = fc.record({ ...fields, x_extra: json }, { requiredKeys: [] });
  return fc.tuple(members, space).map(([picked, s]) =>
    objectText(
      Object.entries(picked).flatMap(([key, value]) => [[`"${key}"`, value]]),
      s,
    ),
  );
}

const messageObject = object({
  id,
  type: quoted('text', 'text', 'unknown', 'action', 'poll_update', 'live_location'),
  chat_id: quoted('chat-1', 'chat-2'),
  timestamp: fc.oneof(number, fc.integer({ min: 0, max: 3000 }).map(String)),
});
const named = object({ id });
const chatObject = object({ id: quoted('chat-1', 'chat-2'), last_message: named });

const ELEMENTS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  messages: messageObject,
  messages_updates: object({ id, trigger: named, after_update: named }),
  messages_removed: id,
  statuses: named,
  chats: chatObject,
  groups: chatObject,
  chats_updates: object({ before_update: chatObject, after_update: chatObject }),
  groups_updates: object({ before_update: chatObject, after_update: chatObject }),
  calls: named,
  presences: named,
  labels: named,
  things_updates: json,
};
export const CARRIERS = Object.keys(ELEMENTS);

/** One member of a payload. It has `elements` if it is an array of items. */
interface Member {
  readonly carrier: string | null;
  readonly key: string;
  readonly value: string;
  readonly elements: readonly string[];
}

export interface Payload {
  readonly members: readonly Member[];
  readonly spaces: string;
}

/** An item: its array and its text. */
export interface Element {
  readonly carrier: string;
  readonly text: string;
}

const carrierMember = fc.constantFrom(...CARRIERS, 'messages', 'messages').chain((carrier) =>
  fc.record({
    carrier: fc.constant(carrier),
    key: fc.constantFrom(`"${carrier}"`, `"${carrier}"`, `"${escaped(carrier)}"`),
    value: fc.constant(''),
    elements: fc.array(fc.oneof({ weight: 6, arbitrary: ELEMENTS[carrier] ?? json }, { weight: 1, arbitrary: json }), {
      maxLength: 5,
    }),
  }),
);
const otherMember = fc.record({
  carrier: fc.constant(null),
  key: fc.constantFrom('"x"', '"x_tail"', '"meta"', '""', '"\\u006d"', '"message"'),
  value: json,
  elements: fc.constant([]),
});
const eventMember = fc.record({
  carrier: fc.constant(null),
  key: fc.constant('"event"'),
  value: fc
    .tuple(
      fc.constantFrom('messages', 'messages', 'message', 'chats'),
      fc.constantFrom('post', 'put', 'patch', 'delete'),
    )
    .map(([type, event]) => JSON.stringify({ type, event })),
  elements: fc.constant([]),
});

/** A payload with one or more arrays of items, other members and an event. */
export const payloads: fc.Arbitrary<Payload> = fc
  .tuple(fc.array(carrierMember, { maxLength: 3 }), fc.array(otherMember, { maxLength: 2 }), eventMember, space)
  .chain(([carriers, others, event, spaces]) =>
    fc
      .shuffledSubarray<Member>([...carriers, ...others, event], { minLength: carriers.length + others.length + 1 })
      .map((members) => ({ members, spaces })),
  );

/** The text of a payload with the elements that `keep` accepts, in their order. */
export function payloadText({ members, spaces }: Payload, keep: (position: number) => boolean = () => true): string {
  let position = 0;
  const print = (member: Member): readonly [string, string] => {
    if (member.carrier === null) return [member.key, member.value];
    const kept = member.elements.filter(() => keep(position++));
    return [member.key, `[${kept.map((text) => spaces + text + spaces).join()}]`];
  };
  return spaces + objectText(members.map(print), spaces) + spaces;
}

export function elementsOf({ members }: Payload): Element[] {
  return members.flatMap(({ carrier, elements }) =>
    carrier === null ? [] : elements.map((text) => ({ carrier, text })),
  );
}

/** A JSON text without the white space between its tokens, so that every byte left is significant. */
export function meaningOf(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|[ \t\r\n]+/g, (token) => (token.startsWith('"') ? token : ''));
}
