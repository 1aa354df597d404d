import { GatewayError } from '../errors.js';
import type { Span } from '../model.js';

/** One array at a JSON document's top level: its key and where each element is. */
export interface ScannedArray {
  readonly key: string;
  readonly elements: readonly Span[];
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
/** Media previews are strings of megabytes. Beyond this length, a native search is faster than a loop. */
const LONG_STRING = 64;
/**
 * The most elements and arrays of one document. Whapi's largest batches (the contacts of a phone) have a few thousand.
 * Five million elements fit into the default MAX_BODY_BYTES; they took 3 GB of memory and blocked all other work for 34
 * s.
 */
export const MOST_ITEMS = 50_000;

/**
 * Finds the arrays among the top-level members of `bytes` whose key `isWanted` accepts, in document order. A repeated
 * key is found every time. From `start` on, `bytes` must be a valid JSON document in UTF-8, which the caller has
 * parsed. The scan only follows the structure; structural characters are ASCII, so byte offsets are exact.
 * @throws GatewayError GW_TOO_LARGE if there are more than `MOST_ITEMS`
 */
export function scanTopLevelArrays(bytes: Buffer, isWanted: (key: string) => boolean, start = 0): ScannedArray[] {
  const found: ScannedArray[] = [];
  let itemsLeft = MOST_ITEMS;
  let at = skipSpace(bytes, start);
  if (bytes[at] !== OPEN_BRACE) return found;
  at = skipSpace(bytes, at + 1);
  while (bytes[at] === QUOTE) {
    const keyEnd = skipString(bytes, at);
    const key = readKey(bytes, at, keyEnd);
    at = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1); // after the colon
    if (bytes[at] === OPEN_BRACKET && isWanted(key)) {
      const elements = scanElements(bytes, at, itemsLeft);
      itemsLeft -= elements.spans.length + 1;
      found.push({ key, elements: elements.spans });
      at = elements.end;
    } else {
      at = skipValue(bytes, at);
    }
    at = skipSpace(bytes, at);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return found;
}

function scanElements(bytes: Buffer, open: number, room: number): { spans: Span[]; end: number } {
  const spans: Span[] = [];
  let at = skipSpace(bytes, open + 1);
  while (bytes[at] !== CLOSE_BRACKET) {
    if (spans.length >= room)
      throw new GatewayError(
        'GW_TOO_LARGE',
        `The body has more than ${MOST_ITEMS} items. Send them in several webhooks.`,
      );
    const end = skipValue(bytes, at);
    spans.push({ start: at, end });
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return { spans, end: at + 1 };
}

function readKey(bytes: Buffer, start: number, end: number): string {
  const raw = bytes.toString('utf8', start + 1, end - 1);
  return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const c = bytes[at];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return at;
    at += 1;
  }
}

function skipValue(bytes: Buffer, from: number): number {
  const first = bytes[from];
  if (first === QUOTE) return skipString(bytes, from);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return skipScalar(bytes, from);
  let depth = 0;
  let at = from;
  do {
    const c = bytes[at];
    if (c === QUOTE) {
      at = skipString(bytes, at);
      continue;
    }
    if (c === OPEN_BRACE || c === OPEN_BRACKET) depth += 1;
    else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) depth -= 1;
    at += 1;
  } while (depth > 0);
  return at;
}

/** From an opening quote to the byte after the closing one. */
function skipString(bytes: Buffer, open: number): number {
  const near = Math.min(open + LONG_STRING, bytes.length);
  let at = open + 1;
  while (at < near) {
    const c = bytes[at];
    if (c === QUOTE) return at + 1;
    at += c === BACKSLASH ? 2 : 1;
  }
  for (;;) {
    const quote = bytes.indexOf(QUOTE, at);
    if (!isEscaped(bytes, quote, at)) return quote + 1;
    at = quote + 1;
  }
}

/** Whether an odd number of backslashes precedes the character at `at`, counting back to `from` at most. */
function isEscaped(bytes: Buffer, at: number, from: number): boolean {
  let backslashes = 0;
  while (at - 1 - backslashes >= from && bytes[at - 1 - backslashes] === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

function skipScalar(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const c = bytes[at];
    if (c === undefined || c === COMMA || c === CLOSE_BRACE || c === CLOSE_BRACKET || c <= 0x20) return at;
    at += 1;
  }
}
