import pg from 'pg';
import type { Param } from './queries.js';

const INT8 = 20;
const INT8_ARRAY = 1016;

export function storable(param: Param): unknown {
  if (typeof param === 'string') return withoutNul(param);
  if (!Array.isArray(param)) return param;
  return param.map((each: unknown) => (typeof each === 'string' ? withoutNul(each) : each));
}

/** Replaces U+0000, which a message id may contain and PostgreSQL cannot store in a text. */
export function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}

/** A time for a `bigint`: jitter makes fractions of a millisecond. */
export function rounded(time: number | null): number | null {
  return time === null ? null : Math.round(time);
}

/** A `bigint` becomes a number: all of them are ids and times, which fit. */
export function getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === INT8) return Number;
  if (oid === INT8_ARRAY) return (text: string) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number));
  // @types/pg has an enum of the known types here; any oid is allowed.
  return (pg.types.getTypeParser as (oid: number, format?: string) => unknown)(oid, format);
}

const GREATEST_INTEGER = 2 ** 31 - 1;

/** The nearest number that PostgreSQL's `integer` holds: a cursor may have any. */
export function asInteger(number: number): number {
  return Math.max(-GREATEST_INTEGER, Math.min(number, GREATEST_INTEGER));
}
