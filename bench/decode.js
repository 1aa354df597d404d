import { decodeInSlices } from '../dist/intake/decode.js';
import { median } from './load.js';

/**
 * How much CPU time decoding a webhook takes, as a ratio to a plain JSON.parse of the same body in the same run, and its longest
 * slice, for which it holds the event loop: the largest plausible bodies, then bodies that are made to be slow. Names
 * can be given to measure only the bodies that contain one.
 */
const ROUNDS = 5;
const MB = 1_000_000;

const message = (id) =>
  `{"id":"p.${id}","from_me":false,"type":"text","chat_id":"1202555${id % 1000}@s.whatsapp.net","timestamp":1736900000,` +
  `"source":"mobile","text":{"body":"${'Grüße 👋 '.repeat(60)}"},"from":"12025550100","from_name":"Ada","device_id":1,` +
  `"context":{"quoted_id":"p.${id}","quoted_content":{"body":"x"},"mentions":["1","2","3"]},"view_once":false}`;
const times = (count, one) => Array.from({ length: count }, (_, at) => one(at)).join();
const messages = (elements) => `{"messages":[${elements}],"event":{"type":"messages","event":"post"}}`;
/** Just above the middle of two doubles, with more digits than a fast conversion takes. */
const HARD_NUMBER = `9007199254740993.${'0'.repeat(760)}1`;

const BODIES = {
  'one message': messages(message(1)),
  '10,000 messages, 10 MB': messages(times(10_000, message)),
  '10 MB of base64 in a string': messages(
    `{"id":"a","image":{"preview":"data:image/png;base64,${'QUJD'.repeat(2.5 * MB)}"}}`,
  ),
  '9 MB of escapes in a string': messages(`{"id":"a","text":{"body":"${'\\"'.repeat(4.5 * MB)}"}}`),
  '9 MB of escaped surrogates in an id': messages(`{"id":"${'\\ud800'.repeat(1.5 * MB)}","chat_id":"c"}`),
  'a chat id of 9 MB': messages(`{"id":"a","chat_id":"${'é'.repeat(4.5 * MB)}","type":"text"}`),
  'a top-level key of 9 MB': `{"${'_updates'.repeat(1.1 * MB)}":[1]}`,
  '10,000 items {}': messages(times(10_000, () => '{}')),
  '10,000 items, key repeated': `{"messages":[1],${messages(times(9_999, message)).slice(1)}`,
  '50,000 items': messages(times(50_000, (id) => `{"id":"m${id}","chat_id":"c${id}","type":"text","timestamp":1}`)),
  '147 KB of {} items': messages(times(49_000, () => '{}')),
  '10 MB of [': '['.repeat(10 * MB),
  '10 MB of nested []': `{"messages":[${'['.repeat(5 * MB)}${']'.repeat(5 * MB)}]}`,
  '8 MB of keys': `{${times(650_000, (id) => `"k${id}":1`)}}`,
  '8 MB of keys in an item': messages(`{${times(650_000, (id) => `"k${id}":1`)}}`),
  '8 MB of one-key objects': messages(`[${times(500_000, (id) => `{"k${id}":1}`)}]`),
  '10 MB of zeros in an array': `{"x":[${times(5 * MB, () => '0')}]}`,
  '10 MB of keyed updates': `{${times(500_000, (id) => `"k${id}_updates":[]`)}}`,
  'a number of a million digits': messages(`{"id":"a","timestamp":${'9'.repeat(MB)}}`),
  'a number of 10 million digits': messages(`{"id":"a","timestamp":0.${'123456789'.repeat(1.1 * MB)}}`),
  '10 MB of hard numbers': messages(`[${times(12_000, () => HARD_NUMBER)}]`),
  '50,000 keys in an item, the most': messages(`{${times(49_999, (id) => `"k${id}":1`)}}`),
  '50,000 one-key objects in an item, the most': messages(`[${times(49_999, (id) => `{"k${id}":1}`)}]`),
  '250,000 empty objects in an item, the most': messages(`[${times(124_999, () => '{}')}]`),
  '10 items with 50,000 keys each': messages(times(10, (item) => `{${times(49_999, (id) => `"k${item}x${id}":1`)}}`)),
  '50,000 keys outside of items, the most': `{"x":{${times(50_000, (id) => `"k${id}":1`)}}}`,
  '10 MB of white space': `${' '.repeat(10 * MB)}{}`,
};

/** The CPU time of this process, in milliseconds: other load on the machine does not count. */
function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The whole time, and the longest slice: what other requests wait for. */
function decoding(body) {
  let longest = 0;
  const { ms, outcome } = millisecondsOf(() => {
    const slices = decodeInSlices(body, { method: 'POST', suffix: '' });
    for (let isDone = false; !isDone;) {
      const begun = cpuMs();
      try {
        isDone = slices.next().done;
      } finally {
        longest = Math.max(longest, cpuMs() - begun);
      }
    }
  });
  return { ms, outcome, longest };
}

function millisecondsOf(action) {
  const begun = cpuMs();
  let outcome = 'accepted';
  try {
    action();
  } catch (error) {
    outcome = error.code ?? 'refused';
  }
  return { ms: cpuMs() - begun, outcome };
}

const results = Object.entries(BODIES)
  .filter(([body]) => process.argv.length < 3 || process.argv.slice(2).some((word) => body.includes(word)))
  .map(([name, text]) => {
    const body = Buffer.from(text);
    const rounds = Array.from({ length: ROUNDS }, () => ({
      parse: millisecondsOf(() => JSON.parse(body.toString())),
      decode: decoding(body),
    }));
    const parseMs = median(rounds.map(({ parse }) => parse.ms));
    const decodeMs = median(rounds.map(({ decode: one }) => one.ms));
    return {
      body: name,
      bytes: body.length,
      outcome: rounds[0].decode.outcome,
      ratio: Number((decodeMs / parseMs).toFixed(3)),
      parse_ms: Number(parseMs.toFixed(1)),
      decode_ms: Number(decodeMs.toFixed(1)),
      slice_ms: Number(median(rounds.map(({ decode: one }) => one.longest)).toFixed(1)),
      slowest_slice_ms: Number(Math.max(...rounds.map(({ decode: one }) => one.longest)).toFixed(1)),
    };
  });

console.log(JSON.stringify({ bench: 'decode', baseline: 'JSON.parse of the same body', rounds: ROUNDS, results }));
