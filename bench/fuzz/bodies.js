import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Bodies for the fuzz: documented payloads with mutated structure or bytes, and texts that no serializer would write.
 */

const folder = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const FIXTURES = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => readFileSync(folder + name, 'utf8'));

/** Raw JSON texts that replace a value. */
const NASTY = [
  ...[
    'null',
    'true',
    '0',
    '-0',
    '-1',
    '1e400',
    '-1E+400',
    '1e-400',
    '1.10',
    '9007199254740993',
    '18446744073709552000',
  ],
  ...['9'.repeat(400), '""', '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"__proto__"', '"constructor"', '"\\u2028"'],
  ...['[]', '{}', '[[]]', '[null]', '{"__proto__":{"id":"x"}}', '{"constructor":{"prototype":{"id":1}}}'],
  ...[
    '{"id":"a","id":"b"}',
    '{"toString":1,"valueOf":2}',
    '{"":""}',
    '[1,[2,[3,{"id":{"id":"x"}}]]]',
    `"${'é'.repeat(3000)}"`,
  ],
  ...[
    '"../../etc/passwd"',
    '"%00"',
    '"a\\nb\\r\\nc: d"',
    '"👋"',
    '{"length":1e9}',
    '-9223372036854775809',
    '253402300800000',
  ],
];
const KEYS = ['id', 'messages', 'statuses', 'chats', 'event', 'type', 'method', 'channel_id', 'chat_id', 'timestamp'];
KEYS.push(
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '',
  'x_updates',
  'x_removed',
  'trigger',
  'last_message',
  'length',
);

const isObject = (value) => typeof value === 'object' && value !== null;
const STAND_IN = /"\\u0001(\d+)"/g;

/** A fixture with up to four of its values or keys replaced, repeated, moved or removed. */
function restructured(chance) {
  const root = JSON.parse(chance.pick(FIXTURES));
  for (let left = 1 + chance.below(4); left > 0; left -= 1) mutate(root, chance);
  return Buffer.from(JSON.stringify(root).replaceAll(STAND_IN, (_, index) => NASTY[Number(index)]));
}

function mutate(root, chance) {
  let holder = root;
  for (;;) {
    const keys = Object.keys(holder);
    if (keys.length === 0) return;
    const key = chance.pick(keys);
    const value = holder[key];
    if (isObject(value) && !chance.isOneIn(3)) {
      holder = value;
      continue;
    }
    chance.weighted([
      [6, () => (holder[key] = `\u0001${chance.below(NASTY.length)}`)],
      [2, () => (Array.isArray(holder) ? holder.splice(Number(key), 1) : Reflect.deleteProperty(holder, key))],
      [2, () => put(holder, chance.pick(KEYS), value)],
      [1, () => put(holder, chance.pick(KEYS), JSON.parse(chance.pick(FIXTURES)))],
      [1, () => (Array.isArray(value) ? value.reverse() : (holder[key] = [value, value]))],
    ]);
    return;
  }
}

/** Also works for the key `__proto__`, which an assignment would not write. */
function put(holder, key, value) {
  if (Array.isArray(holder)) holder.push(value);
  else Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** A fixture with some bytes flipped, removed, doubled or inserted. */
function bitten(chance) {
  let bytes = Buffer.from(chance.pick(FIXTURES));
  for (let left = 1 + chance.below(6); left > 0; left -= 1) {
    const at = chance.below(bytes.length + 1);
    const to = Math.min(bytes.length, at + chance.below(40));
    bytes = chance.weighted([
      [4, () => Buffer.concat([bytes.subarray(0, at), Buffer.from([chance.below(256)]), bytes.subarray(at + 1)])],
      [2, () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])],
      [2, () => Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])],
      [1, () => bytes.subarray(0, at)],
      [1, () => Buffer.concat([bytes.subarray(0, at), Buffer.from(chance.pick(NASTY)), bytes.subarray(at)])],
    ]);
  }
  return bytes;
}

/** Well-formed or not, but larger or deeper than anything Whapi sends. */
function extreme(chance) {
  const depth = 10 ** (1 + chance.below(5)); // Up to 100,000 levels.
  const count = 10 ** (1 + chance.below(5));
  const id = 'i'.repeat(10 ** (2 + chance.below(4))); // Up to 100 kB.
  return Buffer.from(
    chance.weighted([
      [3, () => '['.repeat(depth) + ']'.repeat(depth)],
      [3, () => `{"messages":[${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}]}`],
      [1, () => '{"a":'.repeat(depth)],
      [3, () => `{"messages":[${Array(count).fill(chance.pick(NASTY)).join()}]}`],
      [3, () => `{"messages":[{"id":"${id}","chat_id":"${id}","type":"text","timestamp":1}]}`],
      [2, () => `{"statuses":[{"id":"${id}","recipient_id":"c"}],"event":{"type":"${id}","event":"post"}}`],
      [2, () => `{${Array.from({ length: count }, (_, i) => `"k${i}_updates":[${i}]`).join()}}`],
      [2, () => `{"messages":[${'"\\\\\\""'.repeat(1)}${',"\\\\\\\\"'.repeat(count)}]}`],
      [1, () => ' '.repeat(count)],
      [1, () => '1'.repeat(count)],
      [1, () => `"${'\\'.repeat(count)}"`],
    ]),
  );
}

/** Not a document, or barely one. */
function odd(chance) {
  return chance.pick([
    Buffer.alloc(0),
    Buffer.from('\ufeff{"messages":[]}'),
    Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
    Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), // A lone surrogate in invalid UTF-8.
    Buffer.from([0x22, 0xc0, 0xaf, 0x22]), // An overlong form.
    Buffer.from('{"messages":[{"id":"a\u0000b"}]}'),
    Buffer.from('\0'),
    Buffer.alloc(1000, 0xff),
    Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]),
    Buffer.from('messages=a&b=c'),
    Buffer.from("{'messages':[]}"),
    Buffer.from('{"messages":[],}'),
    Buffer.from('NaN'),
    ...NASTY.map((text) => Buffer.from(text)),
  ]);
}

export function bodyOf(chance) {
  return chance.weighted([
    [50, () => restructured(chance)],
    [35, () => bitten(chance)],
    [12, () => odd(chance)],
    [3, () => extreme(chance)],
  ]);
}

/** A body of the API with one part replaced. */
export function mutated(body, chance) {
  if (chance.isOneIn(4)) return bodyOf(chance);
  const copy = JSON.parse(JSON.stringify(body));
  mutate(copy, chance);
  return Buffer.from(JSON.stringify(copy).replaceAll(STAND_IN, (_, index) => NASTY[Number(index)]));
}
