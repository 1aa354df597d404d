/** Unix timestamps of more than 11 digits are milliseconds. */
const FIRST_IN_MILLISECONDS = 1e11;
const NUMBER = /^\d+(\.\d+)?$/;

/**
 * The Unix seconds of a timestamp of Whapi's, which may be a number or a numeric string, in seconds or in milliseconds
 * (docs/whapi.md, Message). Null where it is none.
 */
export function unixSeconds(value: unknown): number | null {
  const number = typeof value === 'string' && NUMBER.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return null;
  return number >= FIRST_IN_MILLISECONDS ? number / 1000 : number;
}
