import { GatewayError } from '../errors.js';
import type { Span } from '../model.js';

/** One member of a JSON document's top-level object. */
export interface Member {
  readonly key: string;
  readonly value: Span;
  /** Where each element of its array is; null if the array was not asked for, or is none. */
  readonly elements: readonly Span[] | null;
}

/** How large the structure of a document may be. JSON.parse takes time for it, not for the length of texts. */
export interface Limits {
  /** Elements of all arrays that were asked for. */
  readonly items: number;
  /** Keys of the top-level object. */
  readonly members: number;
  /** Levels of nesting, from the document down. */
  readonly depth: number;
  /** Keys of objects in one item, and outside of all items. */
  readonly keys: number;
  /** Values in one item, and outside of all items: members of objects, elements of arrays, empty objects and arrays. */
  readonly values: number;
}

/**
 * The limits of a webhook from Whapi. Its largest batches (the contacts of a phone) have a few thousand items, its
 * largest items (a group with its members, before and after) some ten thousand keys, its deepest about ten levels. An
 * item at the limit of keys takes JSON.parse 60 ms, one at the limit of values 30 ms. Without limits, 10 MB of nested
 * brackets take it 1.5 s and 8 MB of keys 0.6 s (bench/decode.js).
 */
export const WEBHOOK_LIMITS: Limits = { items: 10_000, members: 1000, depth: 200, keys: 50_000, values: 250_000 };

/** For webhooks that were recorded before the limits applied. */
export const NO_LIMITS: Limits = {
  items: Infinity,
  members: Infinity,
  depth: Infinity,
  keys: Infinity,
  values: Infinity,
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
/** Media previews are strings of megabytes. Beyond this length, a native search is faster than a loop. */
const LONG_STRING = 64;

/**
 * Finds the members of the top-level object in `bytes`, and the elements of those arrays among them whose key
 * `isWanted` accepts, in document order. A repeated key is found every time. Null if the document is not an object.
 *
 * The scan reads every byte once, before anything is parsed. It checks the limits, and the syntax around the parts that
 * it finds; the caller parses the parts and with that checks the rest. Structural characters are ASCII, so byte offsets
 * in UTF-8 are exact.
 * @throws GatewayError GW_TOO_LARGE (over a limit), GW_BAD_JSON
 */
export function scanMembers(
  bytes: Buffer,
  isWanted: (key: string) => boolean,
  limits: Limits,
  start = 0,
): readonly Member[] | null {
  return new Scan(bytes, isWanted, limits).document(start);
}

/** Parses a part of a document. @throws GatewayError GW_BAD_JSON */
export function parsePart(bytes: Buffer, { start, end }: Span): unknown {
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as unknown;
  } catch (error) {
    // The parser's message quotes the body, which is someone's private message: it stays out of the answer.
    throw new GatewayError('GW_BAD_JSON', 'The body is not valid JSON.', [], { cause: error });
  }
}

const PLAIN_KEY = /^"[\w-]*"$/;

function readKey(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('latin1', start, end);
  return PLAIN_KEY.test(text) ? text.slice(1, -1) : (parsePart(bytes, { start, end }) as string);
}

/** What one item has of the limited things, or all that is outside of items. */
interface Part {
  keys: number;
  values: number;
}

class Scan {
  readonly #bytes: Buffer;
  readonly #isWanted: (key: string) => boolean;
  readonly #limits: Limits;
  readonly #outside: Part = { keys: 0, values: 0 };
  #itemsLeft: number;

  constructor(bytes: Buffer, isWanted: (key: string) => boolean, limits: Limits) {
    this.#bytes = bytes;
    this.#isWanted = isWanted;
    this.#limits = limits;
    this.#itemsLeft = limits.items;
  }

  document(start: number): Member[] | null {
    const bytes = this.#bytes;
    const open = skipSpace(bytes, start);
    if (bytes[open] !== OPEN_BRACE) {
      this.#skipValue(open, 0, this.#outside);
      return null;
    }
    const members: Member[] = [];
    let at = skipSpace(bytes, open + 1);
    if (bytes[at] !== CLOSE_BRACE) {
      at = this.#member(at, members);
      while (bytes[at] === COMMA) at = this.#member(skipSpace(bytes, at + 1), members);
    }
    if (bytes[at] !== CLOSE_BRACE || skipSpace(bytes, at + 1) < bytes.length) throw badJson();
    return members;
  }

  /** Adds the member at `from`. Returns where the next token is. */
  #member(from: number, members: Member[]): number {
    const bytes = this.#bytes;
    if (bytes[from] !== QUOTE) throw badJson();
    const keyEnd = skipString(bytes, from);
    const key = readKey(bytes, from, keyEnd);
    const colon = skipSpace(bytes, keyEnd);
    if (bytes[colon] !== COLON) throw badJson();
    const start = skipSpace(bytes, colon + 1);
    const { members: most } = this.#limits;
    if (members.length >= most) throw tooLarge(`has more than ${shown(most)} keys at its top level`);
    const found = bytes[start] === OPEN_BRACKET && this.#isWanted(key) ? this.#elements(start) : null;
    const end = found?.end ?? this.#skipValue(start, 1, this.#outside);
    members.push({ key, value: { start, end }, elements: found?.spans ?? null });
    return skipSpace(bytes, end);
  }

  #elements(open: number): { spans: Span[]; end: number } {
    const bytes = this.#bytes;
    const spans: Span[] = [];
    let at = skipSpace(bytes, open + 1);
    while (bytes[at] !== CLOSE_BRACKET || spans.length > 0) {
      this.#countItem();
      const end = this.#skipValue(at, 2, { keys: 0, values: 0 });
      spans.push({ start: at, end });
      at = skipSpace(bytes, end);
      if (bytes[at] !== COMMA) break;
      at = skipSpace(bytes, at + 1);
    }
    if (bytes[at] !== CLOSE_BRACKET) throw badJson();
    return { spans, end: at + 1 };
  }

  /** From the first byte of a value to the byte after its last. `level`: how deep in the document it is. */
  #skipValue(from: number, level: number, part: Part): number {
    const bytes = this.#bytes;
    const first = bytes[from];
    if (first === QUOTE) return skipString(bytes, from);
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return skipScalar(bytes, from);
    const { depth: mostDepth, values: mostValues } = this.#limits;
    let depth = level;
    let keys = 0;
    let values = 0;
    let at = from;
    do {
      const c = bytes[at];
      if (c === QUOTE) {
        at = skipString(bytes, at);
        continue;
      }
      if (c === COLON) keys += 1;
      else if (c === COMMA) values += 1;
      else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
        values += 1;
        depth += 1;
        if (depth > mostDepth) throw tooLarge(`is nested more than ${shown(mostDepth)} levels deep`);
      } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) depth -= 1;
      at += 1;
    } while (depth > level && at < bytes.length && values <= mostValues);
    this.#count(part, keys, values);
    return at;
  }

  #count(part: Part, keys: number, values: number): void {
    part.keys += keys;
    part.values += values;
    const where = part === this.#outside ? 'outside of its items' : 'in one item';
    const { keys: mostKeys, values: mostValues } = this.#limits;
    if (part.keys > mostKeys) throw tooLarge(`has more than ${shown(mostKeys)} keys ${where}`);
    if (part.values > mostValues) throw tooLarge(`has more than ${shown(mostValues)} values ${where}`);
  }

  #countItem(): void {
    this.#itemsLeft -= 1;
    if (this.#itemsLeft >= 0) return;
    throw new GatewayError(
      'GW_TOO_LARGE',
      `The body has more than ${shown(this.#limits.items)} items. Send them in several webhooks.`,
    );
  }
}

function badJson(): GatewayError {
  return new GatewayError('GW_BAD_JSON', 'The body is not valid JSON.');
}

function tooLarge(what: string): GatewayError {
  return new GatewayError('GW_TOO_LARGE', `The body ${what}, which no webhook of Whapi has. Check what sends it.`);
}

function shown(limit: number): string {
  return limit.toLocaleString('en-US');
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const c = bytes[at];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return at;
    at += 1;
  }
}

/**
 * From an opening quote to the byte after the closing one; without one, to the end. After each escaped quote it goes on
 * byte by byte: one native search for each would take longer than the bytes between them.
 */
function skipString(bytes: Buffer, open: number): number {
  let at = open + 1;
  for (;;) {
    const near = Math.min(at + LONG_STRING, bytes.length);
    while (at < near) {
      const c = bytes[at];
      if (c === QUOTE) return at + 1;
      at += c === BACKSLASH ? 2 : 1;
    }
    const quote = bytes.indexOf(QUOTE, at);
    if (quote === -1) return bytes.length;
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
