import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { GatewayError } from '../../src/errors.js';
import { decode } from '../../src/intake/decode.js';
import { NO_LIMITS, scanMembers, WEBHOOK_LIMITS } from '../../src/intake/scan.js';
import { decodeArriving } from '../support/decoding.js';
import { json, payloads, payloadText } from '../support/payloads.js';

const { items, members, depth, keys, values } = WEBHOOK_LIMITS;

function list(count: number, one: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => one(index)).join();
}

function item(text: string): string {
  return `{"messages":[${text}]}`;
}

function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}

function keyed(count: number): string {
  return `{${list(count, (index) => `"k${index}":1`)}}`;
}

function refusalOf(body: string): string {
  try {
    decodeArriving(body);
    return 'none';
  } catch (error) {
    return error instanceof GatewayError ? `${error.status} ${error.code}: ${error.message}` : String(error);
  }
}

const STRANGE = 'which no webhook of Whapi has. Check what sends it.';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a webhook', () => {
  it.each([
    ['items', item(list(items, () => '{}'))],
    ['items in several arrays', `{"chats":[${list(items / 2, () => '1')}],"calls":[${list(items / 2, () => '1')}]}`],
    ['levels in an item', item(nested(depth - 2))],
    ['levels outside of items', nested(depth)],
    ['keys in an item', item(keyed(keys))],
    ['keys in each of two items', item(`${keyed(keys)},${keyed(keys)}`)],
    ['keys outside of items', keyed(members)],
    ['values in an item', item(`[${list(values, () => '0')}]`)],
    ['values outside of items', `[${list(values, () => '0')}]`],
  ])('may have as many %s as the limit', (_what, body) => {
    expect(refusalOf(body)).toBe('none');
  });

  it.each([
    ['10,000 items. Send them in several webhooks.', item(list(items + 1, () => '{}'))],
    [
      '10,000 items. Send them in several webhooks.',
      `{"chats":[${list(items / 2, () => '1')}],"calls":[${list(items / 2 + 1, () => '1')}]}`,
    ],
    [`1,000 keys at its top level, ${STRANGE}`, `{${list(members + 1, (index) => `"k${index}_updates":[]`)}}`],
    [`50,000 keys in one item, ${STRANGE}`, item(keyed(keys + 1))],
    [`50,000 keys in one item, ${STRANGE}`, item(`1,[${list(keys + 1, (index) => `{"k${index}":1}`)}]`)],
    [`50,000 keys outside of its items, ${STRANGE}`, `{"a":${keyed(keys / 2)},"b":${keyed(keys / 2 + 1)}}`],
    [`250,000 values in one item, ${STRANGE}`, item(`[${list(values + 1, () => '0')}]`)],
    [`250,000 values outside of its items, ${STRANGE}`, `{"x":[${list(values + 1, () => '0')}]}`],
  ])('with more than %s is refused', (what, body) => {
    expect(refusalOf(body)).toBe(`413 GW_TOO_LARGE: The body has more than ${what}`);
  });

  it.each([
    item(nested(depth - 1)),
    nested(depth + 1),
    '['.repeat(100_000),
    item(`${'{"a":'.repeat(300)}1${'}'.repeat(300)}`),
  ])('that is nested deeper than 200 levels is refused: %.30s', (body) => {
    expect(refusalOf(body)).toBe(`413 GW_TOO_LARGE: The body is nested more than 200 levels deep, ${STRANGE}`);
  });

  it('over a limit is refused before any of its values is parsed', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const slow = ['['.repeat(1_000_000), keyed(100_000), item(list(50_000, () => '{}')), item(keyed(100_000))];
    for (const body of slow) expect(refusalOf(body)).toMatch(/^413 /);
    expect(parse).not.toHaveBeenCalled();
  });

  it('that was recorded before the limits applied can still be read', () => {
    const hint = { method: 'POST', suffix: '' } as const;
    expect(decode(Buffer.from(item(list(20_000, () => '{}'))), hint).items).toHaveLength(20_000);
    expect(decode(Buffer.from(item(nested(100_000))), hint).items).toHaveLength(1);
  });
});

describe('the limits', () => {
  /** The structure of a JSON text without its strings, which may contain any character. */
  const structureOf = (text: string): string => text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '0');
  const count = (text: string, characters: RegExp): number => text.match(characters)?.length ?? 0;
  const depthOf = (text: string): number => {
    let [level, deepest] = [0, 0];
    for (const character of text) {
      if ('[{'.includes(character)) deepest = Math.max(deepest, (level += 1));
      if (']}'.includes(character)) level -= 1;
    }
    return deepest;
  };

  it.each(['depth', 'keys', 'values'] as const)('of %s refuse a document exactly if it has more', (name) => {
    fc.assert(
      fc.property(json, fc.integer({ min: 0, max: 12 }), (text, limit) => {
        const structure = structureOf(text);
        const has = { depth: depthOf(structure), keys: count(structure, /:/g), values: count(structure, /[,[{]/g) }[
          name
        ];
        const scan = () => scanMembers(Buffer.from(`[${text}]`), () => false, { ...NO_LIMITS, [name]: limit });
        // The brackets around it add a level and a value.
        if (has + (name === 'keys' ? 0 : 1) > limit) expect(scan).toThrow(/more than/);
        else expect(scan()).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  it('change nothing in a document that keeps them, however it is sliced', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const body = payloadText(payload);
        expect(decodeArriving(body).document).toEqual(decode(Buffer.from(body), { method: 'POST', suffix: '' }));
      }),
    );
  });
});

describe('a large webhook is decoded in slices:', () => {
  const text = (bytes: number): string => `{"id":"a","text":"${'x'.repeat(bytes)}"}`;

  it.each([
    ['an ordinary one at once', item(text(1000)), 0],
    ['10 MB in thousands of items with a pause every 256 KiB', item(list(5000, () => text(2000))), 38],
    ['10 MB outside of items too', `{${list(100, (index) => `"k${index}":"${'x'.repeat(100_000)}"`)}}`, 33],
  ])('%s', (_what, body, pauses) => {
    expect(decodeArriving(body).pauses).toBe(pauses);
  });
});

describe('the id of a chat', () => {
  it('counts as missing if it is longer than 1024 characters, because each delivery hashes it', () => {
    const chatIdOf = (length: number): string | null | undefined =>
      decodeArriving(item(`{"id":"a","chat_id":"${'c'.repeat(length)}"}`)).document.items[0]?.chatId;
    expect(chatIdOf(1024)).toHaveLength(1024);
    expect(chatIdOf(1025)).toBeNull();
  });
});
