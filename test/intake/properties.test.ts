import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.js';
import type { Document, Item } from '../../src/intake/decode.js';
import { isUnseen, judge } from '../../src/intake/judge.js';
import type { Memory } from '../../src/intake/judge.js';
import { cut, route, subscribes } from '../../src/intake/route.js';
import type { JudgedItem } from '../../src/intake/route.js';
import { TARGET_SPLITS, VERDICTS } from '../../src/model.js';
import type { Target, Verdict } from '../../src/model.js';
import { decodeArriving } from '../support/decoding.js';
import { HOUR_MS, memory, NOW, target } from '../support/items.js';
import { elementsOf, IDS, json, meaningOf, payloads, payloadText } from '../support/payloads.js';
import type { Element, Payload } from '../support/payloads.js';

/** The memory when a payload arrives, with `recorded` by an item's position. */
interface World {
  readonly registered: readonly string[];
  readonly unseenWanted: readonly string[];
  readonly known: readonly string[];
  /** The known ids that only puts carried. */
  readonly unposted: readonly string[];
  /** Other ids of registered messages. */
  readonly resembling: readonly string[];
  /** Part of a replay that is held. */
  readonly replayed: readonly string[];
  readonly recorded: readonly boolean[];
  readonly newest: Memory['newestInChat'];
  readonly lateAfterSeconds: number;
}

const someIds = fc.subarray(IDS);
const worlds: fc.Arbitrary<World> = fc.record({
  registered: someIds,
  unseenWanted: someIds,
  known: someIds,
  unposted: someIds,
  resembling: someIds,
  replayed: someIds,
  recorded: fc.array(fc.boolean(), { minLength: 15, maxLength: 15 }),
  newest: fc.option(
    fc.record({
      timestamp: fc.integer({ min: 0, max: 3000 }),
      receivedAt: fc.constantFrom(NOW, NOW - HOUR_MS, NOW - HOUR_MS - 1),
    }),
  ),
  lateAfterSeconds: fc.constantFrom(0, 900),
});
const targets: fc.Arbitrary<Target[]> = fc
  .array(
    fc.record({
      deliver: fc.subarray([...VERDICTS]),
      split: fc.constantFrom(...TARGET_SPLITS),
      events: fc.constantFrom(['*'], ['messages'], ['messages.post', 'chats.*'], ['statuses']),
      channels: fc.constantFrom(['*'], ['main'], ['other']),
      enabled: fc.boolean(),
    }),
    { maxLength: 4 },
  )
  .map((settings) => settings.map((change, index) => target({ id: String(index), ...change })));

function decoded(body: Buffer | string): Document {
  return decodeArriving(body).document;
}

function textOf({ body }: Document, { span }: Item): string {
  return body.toString('utf8', span.start, span.end);
}

function memoryOf(world: World, item: Item, position: number): Memory {
  const isIn = (ids: readonly string[]): boolean => item.messageId !== null && ids.includes(item.messageId);
  return memory({
    registered: isIn(world.registered),
    known: isIn(world.known),
    unposted: isIn(world.known) && isIn(world.unposted),
    resembles: isIn(world.resembling),
    replayed: isIn(world.replayed),
    recorded: world.recorded[position] ?? false,
    newestInChat: world.newest,
  });
}

function judged(document: Document, world: World): JudgedItem[] {
  const at = { receivedAt: NOW, lateAfterSeconds: world.lateAfterSeconds };
  return document.items.map((item, position) => {
    const remembered = memoryOf(world, item, position);
    const judgement = judge(item, remembered, at);
    const isWanted = judgement.rule === 3 && world.unseenWanted.includes(item.messageId ?? '');
    const { known: seen, unposted } = remembered;
    return { item, ...judgement, recover: isWanted && isUnseen(item, { seen, unposted }) };
  });
}

describe('decode', () => {
  it('finds every element with its exact bytes, in document order', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const document = decoded(payloadText(payload));
        const elements = elementsOf(payload);
        const found = document.items.map((item) => ({ carrier: item.carrier, text: textOf(document, item) }));
        const whole = [{ carrier: '', text: payloadText(payload) }];
        expect(found).toEqual(elements.length > 0 ? elements : whole);
      }),
    );
  });

  it('accepts any JSON and assigns each byte to at most one item', () => {
    fc.assert(
      fc.property(json, json, (value, other) => {
        for (const text of [value, `{"messages":${value},"chats_updates":${other}}`]) {
          const { items, body } = decoded(text);
          const bounds = items.flatMap(({ span }) => [span.start, span.end]);
          expect(items.length).toBeGreaterThan(0);
          expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
          expect(Math.max(...bounds)).toBeLessThanOrEqual(body.length);
        }
      }),
    );
  });
});

/** The method in the payload's event, if the event is about messages. */
function messageMethod({ members }: Payload): string {
  const { event } = JSON.parse(payloadText({ members, spaces: '' })) as { event: { type: string; event: string } };
  return event.type.startsWith('message') ? event.event : 'post';
}

/** The row of DESIGN.md's decision table for an element, derived independently from its prose. */
function expectedRow({ carrier, text }: Element, method: string, world: World, recorded: boolean): number {
  const value = JSON.parse(text) as unknown;
  const [id, type] = [field(value, 'id'), field(value, 'type')];
  const isRegistered = (name: unknown): boolean => world.registered.includes(name as string);
  if (carrier === 'messages') {
    if (typeof id !== 'string' || id === '') return 14;
    if (type === 'poll_update') return recorded ? 1 : 2;
    if (isRegistered(id)) return 3;
    if (world.resembling.includes(id)) return 18;
    const isKnown = world.known.includes(id);
    if (type === 'unknown' && !isKnown) return recorded ? 15 : 16;
    if (!isKnown && world.replayed.includes(id)) return 19;
    if (!isKnown) return isLate(value, world) ? 9 : 10;
    if (method === 'post' && type !== 'unknown' && world.unposted.includes(id)) return 17;
    if (type === 'live_location') return recorded ? 4 : 5;
    if (method === 'put') return recorded ? 6 : 7;
    return method === 'post' ? 8 : 14;
  }
  const last = field(value, 'last_message', 'id');
  const [before, after] = ['before_update', 'after_update'].map((image) => field(value, image, 'last_message', 'id'));
  const own = typeof id === 'string' && id !== '' ? id : field(value, 'after_update', 'id');
  const trigger = field(value, 'trigger', 'id');
  const isTriggered = typeof trigger === 'string' && trigger !== '' && trigger !== own;
  if (carrier === 'messages_updates' && isRegistered(own) && !isTriggered) return 11;
  if ((carrier === 'chats' || carrier === 'groups') && isRegistered(last)) return 12;
  if (/^(chats|groups)_updates$/.test(carrier) && isRegistered(after) && after !== before) return 12;
  return carrier !== 'presences' && recorded ? 13 : 14;
}

function isLate(value: unknown, { newest, lateAfterSeconds }: World): boolean {
  const timestamp = field(value, 'timestamp');
  if (!newest || typeof timestamp !== 'number' || !Number.isFinite(timestamp)) return false;
  const seconds = timestamp > 99_999_999_999 ? timestamp / 1000 : timestamp;
  return newest.timestamp - seconds > lateAfterSeconds && newest.receivedAt < NOW - HOUR_MS;
}

function field(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (of, key) => (typeof of === 'object' && of !== null && Object.hasOwn(of, key) ? Reflect.get(of, key) : undefined),
    value,
  );
}

const VERDICT_OF: readonly (Verdict | null)[] = [
  ...([null, 'duplicate', 'event', 'restored', 'duplicate', 'event', 'duplicate', 'event'] as const),
  ...(['duplicate', 'late', 'new', 'restored', 'restored', 'duplicate', 'event'] as const),
  ...(['duplicate', 'event', 'new', 'restored', 'restored'] as const),
];

describe('judge', () => {
  it('I3: gives each item the verdict of the decision table', () => {
    fc.assert(
      fc.property(payloads, worlds, (payload, world) => {
        const rules = judged(decoded(payloadText(payload)), world).map(({ rule }) => rule);
        const expected = elementsOf(payload).map((element, position) =>
          expectedRow(element, messageMethod(payload), world, world.recorded[position] ?? false),
        );
        expect(rules).toEqual(expected.length > 0 ? expected : [14]);
      }),
      { numRuns: 1000 },
    );
  });

  it('gives each row the verdict that the table states', () => {
    fc.assert(
      fc.property(payloads, worlds, (payload, world) => {
        for (const { verdict, rule } of judged(decoded(payloadText(payload)), world)) {
          expect(verdict).toBe(VERDICT_OF[rule]);
        }
      }),
    );
  });

  it('never lets a registered message through, with any method, unless it is a vote', () => {
    fc.assert(
      fc.property(payloads, worlds, (payload, world) => {
        for (const { item, verdict } of judged(decoded(payloadText(payload)), world)) {
          const isAskedFor = item.kind === 'message' && world.registered.includes(item.messageId ?? '');
          if (isAskedFor && item.type !== 'poll_update') expect(verdict).toBe('restored');
        }
      }),
    );
  });
});

describe('route', () => {
  it('I3, I4: divides the items into sent and held for each target, without loss or repetition', () => {
    fc.assert(
      fc.property(payloads, worlds, targets, (payload, world, all) => {
        const document = decoded(payloadText(payload));
        const items = judged(document, world);
        const { routes, held } = route(items, document.event, 'main', all);
        const withheld = new Set<number>();
        for (const one of all.filter((candidate) => subscribes(candidate, 'main', document.event))) {
          const sent = routes.filter(({ target: { id } }) => id === one.id).flatMap(({ positions }) => positions);
          const wanted = items.flatMap((item, position) => (isWanted(one, item) ? [position] : []));
          // A split by chat keeps the order of each chat. All other splits keep the order of the webhook.
          expect(one.split === 'chat' ? [...sent].sort((a, b) => a - b) : sent).toEqual(wanted);
          items.forEach((_, position) => sent.includes(position) || withheld.add(position));
        }
        expect(new Set(held)).toEqual(withheld);
      }),
    );
  });

  it('makes at most one route for a target without split, none without a subscription, and no empty one', () => {
    fc.assert(
      fc.property(payloads, worlds, targets, (payload, world, all) => {
        const document = decoded(payloadText(payload));
        const { routes } = route(judged(document, world), document.event, 'main', all);
        const unsplit = routes.filter(({ target: { split } }) => split === 'none').map(({ target: { id } }) => id);
        expect(new Set(unsplit).size).toBe(unsplit.length);
        for (const { target: one, positions } of routes) {
          expect(positions.length).toBeGreaterThan(0);
          expect(subscribes(one, 'main', document.event)).toBe(true);
        }
      }),
    );
  });
});

function isWanted({ deliver }: Target, { verdict, recover }: JudgedItem): boolean {
  return deliver.includes(verdict) || (recover && deliver.includes('new'));
}

describe('cut', () => {
  const choices = fc.tuple(payloads, fc.array(fc.boolean(), { minLength: 15, maxLength: 15 }));

  it('leaves the document without the withheld elements, with every other significant byte kept', () => {
    fc.assert(
      fc.property(choices, ([payload, choice]) => {
        const document = decoded(payloadText(payload));
        const isKept = (position: number): boolean => document.items[0]?.array === -1 || choice[position] === true;
        const left = cut(document, positionsOf(document, isKept)).toString();
        expect(meaningOf(left)).toBe(meaningOf(payloadText(payload, isKept)));
        expect(() => JSON.parse(left) as unknown).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });

  it('keeps the bytes of each kept item intact and in order', () => {
    fc.assert(
      fc.property(choices, ([payload, choice]) => {
        const document = decoded(payloadText(payload));
        const kept = document.items.filter((item, position) => item.array !== -1 && choice[position]);
        fc.pre(kept.length > 0);
        const left = decoded(
          cut(
            document,
            positionsOf(document, (position) => choice[position] === true),
          ),
        );
        expect(left.items.map((item) => textOf(left, item))).toEqual(kept.map((item) => textOf(document, item)));
      }),
    );
  });

  it('into the parts of a split gives each item once, in order, with its exact bytes', () => {
    fc.assert(
      fc.property(payloads, worlds, fc.constantFrom(...TARGET_SPLITS), (payload, world, split) => {
        const document = decoded(payloadText(payload));
        const items = judged(document, world);
        const all = [target({ split, deliver: VERDICTS })];
        const { routes } = route(items, document.event, 'main', all);
        const parts = routes.map(({ positions }) => cut(document, positions));
        const found = parts.flatMap((part) => decoded(part).items.map((item) => textOf(decoded(part), item)));
        const sent = routes.flatMap(({ positions }) => positions);
        expect([...sent].sort((a, b) => a - b)).toEqual([...document.items.keys()]);
        expect(found).toEqual(
          sent.flatMap((position) => document.items[position] ?? []).map((item) => textOf(document, item)),
        );
        const chats = routes.map(({ positions }) => new Set(positions.map((at) => items[at]?.item.chatId ?? '')).size);
        if (split !== 'none') expect(Math.max(...chats)).toBe(1);
        for (const [index, part] of parts.entries()) {
          const isKept = (position: number): boolean => routes[index]?.positions.includes(position) === true;
          const kept = document.items[0]?.array === -1 ? payloadText(payload) : payloadText(payload, isKept);
          expect(meaningOf(part.toString())).toBe(meaningOf(kept));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is skipped if nothing is withheld, so that the target gets the original bytes', () => {
    fc.assert(
      fc.property(payloads, worlds, targets, (payload, world, all) => {
        const document = decoded(payloadText(payload));
        for (const { positions, whole } of route(judged(document, world), document.event, 'main', all).routes) {
          expect(whole).toBe(positions.length === document.items.length);
          expect(cut(document, positions) === document.body).toBe(whole);
        }
      }),
    );
  });
});

function positionsOf({ items }: Document, isKept: (position: number) => boolean): number[] {
  return items.map((_, position) => position).filter(isKept);
}

describe('invalid JSON', () => {
  const changes = fc.array(
    fc.record({
      at: fc.nat({ max: 10_000 }),
      remove: fc.nat({ max: 3 }),
      insert: fc.oneof(
        fc
          .constantFrom('"', '\\', ',', '{', '}', '[', ']', '\n', '\0', '\ufeff', '0', 'e')
          .map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 2 }).map((bytes) => Buffer.from(bytes)),
      ),
    }),
    { minLength: 1, maxLength: 3 },
  );

  it('is refused with GW_BAD_JSON, and valid JSON in UTF-8 never is', () => {
    fc.assert(
      fc.property(payloads, changes, (payload, all) => {
        const body = all.reduce<Buffer>(
          (bytes, { at, remove, insert }) => {
            const place = at % (bytes.length + 1);
            return Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + remove)]);
          },
          Buffer.from(payloadText(payload)),
        );
        expect(refusalOf(body)).toBe(isJson(body) ? null : 'GW_BAD_JSON');
      }),
      { numRuns: 1000 },
    );
  });
});

/** An independent check: a decoder that is strict about UTF-8 and removes a byte order mark. */
function isJson(body: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return true;
  } catch {
    return false;
  }
}

function refusalOf(body: Buffer): string | null {
  try {
    decoded(body);
    return null;
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error);
  }
}
