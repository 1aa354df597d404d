/** Unix timestamps of more than 11 digits are milliseconds. */
const FIRST_IN_MILLISECONDS = 1e11;
const NUMBER = /^\d+(\.\d+)?$/;

/**
 * Reads a timestamp of Whapi's as Unix seconds. It may be a number or a numeric string, in seconds or in milliseconds
 * (docs/whapi.md, Message). Null if it is neither.
 */
export function unixSeconds(value: unknown): number | null {
  const number = typeof value === 'string' && NUMBER.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return null;
  return number >= FIRST_IN_MILLISECONDS ? number / 1000 : number;
}
