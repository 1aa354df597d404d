import { SECOND_MS } from '../durations.js';

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

/** Whole Unix seconds. No message is newer than its receipt: a sender's wrong clock must not make all later messages look late. */
export function sentBefore(timestamp: number, receivedAtMs: number): number {
  return Math.min(Math.floor(timestamp), Math.floor(receivedAtMs / SECOND_MS));
}

/** The later one of a time and that of an item, if it is a message. Unix seconds; null: no message with a time so far. */
export function withMessage(
  newestAt: number | null,
  { kind, timestamp }: { readonly kind: string; readonly timestamp: number | null },
): number | null {
  if (kind !== 'message' || timestamp === null) return newestAt;
  return newestAt === null ? timestamp : Math.max(newestAt, timestamp);
}
