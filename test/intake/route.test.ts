import { describe, expect, it } from 'vitest';
import { decode } from '../../src/intake/decode.js';
import { cut, cutter, route, subscribes } from '../../src/intake/route.js';
import type { JudgedItem } from '../../src/intake/route.js';
import type { EventName, TargetSplit, Verdict } from '../../src/model.js';
import { message, target } from '../support/items.js';

const EVENT: EventName = { type: 'messages', method: 'post' };

function judged(verdict: Verdict, recover = false): JudgedItem {
  return { item: message(), verdict, rule: 10, recover };
}

function cutTo(body: string, ...positions: number[]): string {
  return cut(decode(Buffer.from(body), { method: 'POST', suffix: '' }), positions).toString();
}

describe('route', () => {
  it('sends a target the items whose verdicts it wants and holds the rest', () => {
    const items = [judged('new'), judged('restored'), judged('late'), judged('duplicate'), judged('event')];
    const { routes, held } = route(items, EVENT, 'main', [target()]);
    expect(routes.map(({ positions, whole }) => ({ positions, whole }))).toEqual([
      { positions: [0, 2, 4], whole: false },
    ]);
    expect([...held]).toEqual([1, 3]);
  });

  it('sends the whole body if nothing is withheld, and nothing if nothing is left', () => {
    const all = route([judged('new'), judged('event')], EVENT, 'main', [target()]);
    const none = route([judged('restored'), judged('duplicate')], EVENT, 'main', [target()]);
    expect(all).toMatchObject({ routes: [{ positions: [0, 1], whole: true }], held: new Set() });
    expect(none).toMatchObject({ routes: [] });
    expect([...none.held]).toEqual([0, 1]);
  });

  it('decides for each target separately and holds what one of them misses', () => {
    const wishes: Verdict[][] = [['new'], ['restored'], ['new', 'restored'], []];
    const targets = wishes.map((deliver, index) => target({ id: String(index), deliver }));
    const { routes, held } = route([judged('new'), judged('restored')], EVENT, 'main', targets);
    expect(routes.map(({ target: { id }, positions }) => [id, ...positions])).toEqual([
      ['0', 0],
      ['1', 1],
      ['2', 0, 1],
    ]);
    expect([...held].sort()).toEqual([0, 1]);
  });

  it('holds nothing for a target without a subscription', () => {
    const targets = [target({ events: ['statuses'] }), target({ channels: ['other'] })];
    expect(route([judged('restored')], EVENT, 'main', targets)).toEqual({ routes: [], held: new Set() });
  });

  it('sends recovered messages to every target that wants new messages', () => {
    const targets = [target({ deliver: ['new'] }), target({ deliver: ['late', 'event', 'duplicate'] })];
    const { routes, held } = route([judged('restored', true)], EVENT, 'main', targets);
    expect(routes.map(({ target: { deliver } }) => deliver)).toEqual([['new']]);
    expect([...held]).toEqual([0]);
  });

  it('makes a route for a disabled target too, whose deliveries wait', () => {
    expect(route([judged('new')], EVENT, 'main', [target({ enabled: false })]).routes).toHaveLength(1);
  });
});

describe('a split', () => {
  const of = (chatId: string | null, verdict: Verdict = 'new'): JudgedItem => ({
    ...judged(verdict),
    item: message({ chatId }),
  });
  const parts = (split: TargetSplit, items: readonly JudgedItem[], mostParts?: number): unknown[] => {
    const limit = mostParts === undefined ? undefined : () => mostParts;
    const { routes } = route(items, EVENT, 'main', [target({ split })], limit);
    return routes.map(({ positions, whole }) => (whole ? 'whole' : positions));
  };
  const mixed = [of('a'), of(null), of('b'), of('a'), of('b', 'restored'), of(null)];

  it.each<[TargetSplit, unknown[]]>([
    ['none', [[0, 1, 2, 3, 5]]],
    ['chat', [[0, 3], [1, 5], [2]]],
    ['item', [[0], [1], [2], [3], [5]]],
  ])('by %s makes these requests from the items to send, in the order of their first items', (split, expected) => {
    expect(parts(split, mixed)).toEqual(expected);
  });

  it('into one part is the original bytes', () => {
    expect(parts('chat', [of('a'), of('a')])).toEqual(['whole']);
    expect(parts('item', [of('a')])).toEqual(['whole']);
    expect(parts('item', [of('a', 'restored')])).toEqual([]);
  });

  it('is skipped if it makes more parts than the document allows', () => {
    expect(parts('item', [of('a'), of('b'), of('b')], 2)).toEqual(['whole']);
    expect(parts('chat', [of('a'), of('b'), of('b')], 2)).toEqual([[0], [1, 2]]);
  });
});

describe('a subscription', () => {
  it.each([
    [['*'], true],
    [['messages'], true],
    [['messages.*'], true],
    [['messages.post'], true],
    [['statuses', 'messages.post'], true],
    [['messages.put'], false],
    [['statuses.*', 'statuses.post'], false],
    [['message'], false],
    [['post', '*.post'], false],
    [[], false],
  ])('to the events %j includes messages.post: %s', (events, expected) => {
    expect(subscribes({ channels: ['*'], events }, 'main', EVENT)).toBe(expected);
  });

  it.each([
    [['*'], true],
    [['main'], true],
    [['other', 'main'], true],
    [['other'], false],
    [['mai', 'main2'], false],
    [[], false],
  ])('to the channels %j includes main: %s', (channels, expected) => {
    expect(subscribes({ channels, events: ['*'] }, 'main', EVENT)).toBe(expected);
  });
});

describe('cut', () => {
  const body = '{"a":1.10, "messages" : [ {"id":"0"} ,\n  {"id":"1"} , {"id":"2"}\t] ,"z":[18446744073709552000]}\n';

  it.each([
    [[0], '{"a":1.10, "messages" : [ {"id":"0"}\t] ,"z":[18446744073709552000]}\n'],
    [[1], '{"a":1.10, "messages" : [ {"id":"1"}\t] ,"z":[18446744073709552000]}\n'],
    [[2], '{"a":1.10, "messages" : [ {"id":"2"}\t] ,"z":[18446744073709552000]}\n'],
    [[0, 2], '{"a":1.10, "messages" : [ {"id":"0"} , {"id":"2"}\t] ,"z":[18446744073709552000]}\n'],
    [[1, 2], '{"a":1.10, "messages" : [ {"id":"1"} , {"id":"2"}\t] ,"z":[18446744073709552000]}\n'],
    [[0, 1], '{"a":1.10, "messages" : [ {"id":"0"} ,\n  {"id":"1"}\t] ,"z":[18446744073709552000]}\n'],
  ])('to the items %j leaves every other byte unchanged', (positions, left) => {
    expect(cutTo(body, ...positions)).toBe(left);
  });

  it('to all items gives the original bytes', () => {
    const document = decode(Buffer.from(body), { method: 'POST', suffix: '' });
    expect(cut(document, [0, 1, 2])).toBe(document.body);
  });

  it('leaves an empty array if none of its elements is kept', () => {
    const mixed = '{"messages":[{"id":"0"},{"id":"1"}],"x":true,"statuses":[{"id":"2"},{"id":"3"}]}';
    expect(cutTo(mixed, 3)).toBe('{"messages":[],"x":true,"statuses":[{"id":"3"}]}');
    expect(cutTo(mixed, 0, 2, 3)).toBe('{"messages":[{"id":"0"}],"x":true,"statuses":[{"id":"2"},{"id":"3"}]}');
  });

  it('cuts each of two arrays under one key separately', () => {
    expect(cutTo('{"messages":[1,2],"messages":[3,4]}', 1, 2)).toBe('{"messages":[2],"messages":[3]}');
  });

  it('makes tens of thousands of bodies from one document', () => {
    const element = `{"id":"a","text":"${'x'.repeat(150)}"}`;
    const document = decode(Buffer.from(`{"messages":[${Array(50_000).fill(element).join()}],"x":1}`), {
      ...{ method: 'POST', suffix: '' },
    });
    const { cut: cutOne, mostParts } = cutter(document);
    const bytes = document.items.reduce((sum, _, position) => sum + cutOne([position]).length, 0);
    expect(bytes).toBe(50_000 * (element.length + 21));
    expect(mostParts()).toBeGreaterThan(50_000);
  });

  it('allows few bodies from a document with megabytes outside its items', () => {
    const text = `{"messages":[1,2,3],"x":"${'x'.repeat(3_000_000)}"}`;
    expect(cutter(decode(Buffer.from(text), { method: 'POST', suffix: '' })).mostParts()).toBe(5);
  });

  it('does not change the document', () => {
    const document = decode(Buffer.from(body), { method: 'POST', suffix: '' });
    cut(document, [1]);
    expect(document.body.toString()).toBe(body);
  });
});
