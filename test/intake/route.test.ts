import { describe, expect, it } from 'vitest';
import { decode } from '../../src/intake/decode.js';
import { cut, route, subscribes } from '../../src/intake/route.js';
import type { JudgedItem } from '../../src/intake/route.js';
import type { EventName, Verdict } from '../../src/model.js';
import { message, target } from '../support/items.js';

const EVENT: EventName = { type: 'messages', method: 'post' };

function judged(verdict: Verdict, recover = false): JudgedItem {
  return { item: message(), verdict, rule: 10, recover };
}

function cutTo(body: string, ...positions: number[]): string {
  return cut(decode(Buffer.from(body), { method: 'POST', suffix: '' }), positions).toString();
}

describe('routing', () => {
  it('sends a target the items whose verdicts it wants and holds the rest', () => {
    const items = [judged('new'), judged('restored'), judged('late'), judged('duplicate'), judged('event')];
    const { routes, held } = route(items, EVENT, 'main', [target()]);
    expect(routes.map(({ positions, whole }) => ({ positions, whole }))).toEqual([
      { positions: [0, 2, 4], whole: false },
    ]);
    expect([...held]).toEqual([1, 3]);
  });

  it('sends the whole where nothing is withheld, and nothing where nothing is left', () => {
    const all = route([judged('new'), judged('event')], EVENT, 'main', [target()]);
    const none = route([judged('restored'), judged('duplicate')], EVENT, 'main', [target()]);
    expect(all).toMatchObject({ routes: [{ positions: [0, 1], whole: true }], held: new Set() });
    expect(none).toMatchObject({ routes: [] });
    expect([...none.held]).toEqual([0, 1]);
  });

  it('asks each target for itself; what one of them misses is held', () => {
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

  it('holds nothing for a target that does not subscribe', () => {
    const targets = [target({ events: ['statuses'] }), target({ channels: ['other'] })];
    expect(route([judged('restored')], EVENT, 'main', targets)).toEqual({ routes: [], held: new Set() });
  });

  it('sends what is to be recovered to every target that wants new messages', () => {
    const targets = [target({ deliver: ['new'] }), target({ deliver: ['late', 'event', 'duplicate'] })];
    const { routes, held } = route([judged('restored', true)], EVENT, 'main', targets);
    expect(routes.map(({ target: { deliver } }) => deliver)).toEqual([['new']]);
    expect([...held]).toEqual([0]);
  });

  it('makes a route for a disabled target too: its deliveries wait', () => {
    expect(route([judged('new')], EVENT, 'main', [target({ enabled: false })]).routes).toHaveLength(1);
  });
});

describe('subscriptions', () => {
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
  ])('events %j take messages.post: %s', (events, expected) => {
    expect(subscribes({ channels: ['*'], events }, 'main', EVENT)).toBe(expected);
  });

  it.each([
    [['*'], true],
    [['main'], true],
    [['other', 'main'], true],
    [['other'], false],
    [['mai', 'main2'], false],
    [[], false],
  ])('channels %j take the channel main: %s', (channels, expected) => {
    expect(subscribes({ channels, events: ['*'] }, 'main', EVENT)).toBe(expected);
  });
});

describe('cutting', () => {
  const body = '{"a":1.10, "messages" : [ {"id":"0"} ,\n  {"id":"1"} , {"id":"2"}\t] ,"z":[18446744073709552000]}\n';

  it.each([
    [[0], '{"a":1.10, "messages" : [ {"id":"0"}\t] ,"z":[18446744073709552000]}\n'],
    [[1], '{"a":1.10, "messages" : [ {"id":"1"}\t] ,"z":[18446744073709552000]}\n'],
    [[2], '{"a":1.10, "messages" : [ {"id":"2"}\t] ,"z":[18446744073709552000]}\n'],
    [[0, 2], '{"a":1.10, "messages" : [ {"id":"0"} , {"id":"2"}\t] ,"z":[18446744073709552000]}\n'],
    [[1, 2], '{"a":1.10, "messages" : [ {"id":"1"} , {"id":"2"}\t] ,"z":[18446744073709552000]}\n'],
    [[0, 1], '{"a":1.10, "messages" : [ {"id":"0"} ,\n  {"id":"1"}\t] ,"z":[18446744073709552000]}\n'],
  ])('to the items %j leaves every other byte as it came', (positions, left) => {
    expect(cutTo(body, ...positions)).toBe(left);
  });

  it('to all items gives the very bytes that came', () => {
    const document = decode(Buffer.from(body), { method: 'POST', suffix: '' });
    expect(cut(document, [0, 1, 2])).toBe(document.body);
  });

  it('leaves an empty array where none of its elements is kept', () => {
    const mixed = '{"messages":[{"id":"0"},{"id":"1"}],"x":true,"statuses":[{"id":"2"},{"id":"3"}]}';
    expect(cutTo(mixed, 3)).toBe('{"messages":[],"x":true,"statuses":[{"id":"3"}]}');
    expect(cutTo(mixed, 0, 2, 3)).toBe('{"messages":[{"id":"0"}],"x":true,"statuses":[{"id":"2"},{"id":"3"}]}');
  });

  it('cuts each of two arrays under one key by itself', () => {
    expect(cutTo('{"messages":[1,2],"messages":[3,4]}', 1, 2)).toBe('{"messages":[2],"messages":[3]}');
  });

  it('does not touch the document', () => {
    const document = decode(Buffer.from(body), { method: 'POST', suffix: '' });
    cut(document, [1]);
    expect(document.body.toString()).toBe(body);
  });
});
