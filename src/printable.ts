/**
 * Words of others, such as errors and states of Whapi, answers of targets and message ids, as they may be shown on a
 * terminal, in a log line or in the API. Characters that control a terminal, change the direction of text or break a
 * line show as U+FFFD: an id or error cannot clear the screen, forge a log line, or read as something else. Other
 * invisible characters stay, because emojis and some scripts need them (U+200D, for example). Pure.
 */

const REPLACEMENT = '\ufffd';
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
/** A carriage return alone overwrites its line. */
const UNPRINTABLE_IN_LINES = /(?!\t|\n|\r\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** The most characters of a value in an answer or a log line. */
const LONGEST_VALUE = 4096;
/** As many characters of a message id as the store keeps. */
const LONGEST_MESSAGE_ID = 1024;

/** One line of at most `most` characters. */
export function printable(text: string, most = LONGEST_VALUE): string {
  const whole = text.length <= most;
  const kept = whole ? text : text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '');
  return `${kept.replace(UNPRINTABLE, REPLACEMENT)}${whole ? '' : '…'}`;
}

/** Text that may have several lines, and tabs. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE_IN_LINES, REPLACEMENT);
}

/** Members that are texts of several lines. */
const TEXTS = new Set(['response', 'stack']);
/** The body of a webhook or delivery is shown exactly: the positions of items count its bytes. */
const EXACT = 'body';

/** A JSON value, or the fields of a log line, with all texts and names in it printable. */
export function printableValue(value: unknown, name = ''): unknown {
  if (typeof value === 'string') {
    if (name === EXACT) return value;
    if (TEXTS.has(name)) return printableLines(value);
    return printable(value, name === 'message_id' ? LONGEST_MESSAGE_ID : LONGEST_VALUE);
  }
  if (Array.isArray(value)) return value.map((each) => printableValue(each, name));
  return isPlainObject(value) ? printableObject(value) : value;
}

export function printableObject(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [printable(name), printableValue(value, name)]),
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Equal JSON, in which the unprintable characters that JSON.stringify leaves alone are escaped: `\u202e`.
 * @param json without white space
 */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
