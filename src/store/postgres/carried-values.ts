import { hash } from 'node:crypto';
import type { CarriedRow } from '../carry-over.js';
import { plainUuid } from './keys.js';
import { withoutNul } from './values.js';

/** A column of a table, with its type as `format_type` names it. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

type Source = CarriedRow[string];
/** A parameter of a statement, other than `bytea`. */
export type Carriable = string | number | boolean | null;

const UUID_BYTES = 16;
/** Hexadecimal digits of each row's hash that are summed over all rows: 56 bits. */
const DIGITS = 14;

/** SQLite's value for a column of this type. */
export function valueOf(type: string, value: Exclude<Source, undefined>): Carriable {
  if (value === null) return null;
  if (type === 'boolean') return value === 1;
  if (type === 'bigint' || type === 'integer' || type === 'smallint') return Math.round(Number(value));
  if (type === 'uuid') return hexOf(value).padEnd(2 * UUID_BYTES, '0'); // the ledger's fingerprints have 8 bytes
  if (type === 'uuid[]') return `{${(hexOf(value).match(/.{32}/g) ?? []).join()}}`;
  if (type === 'integer[]') return `{${String(value).slice(1, -1)}}`; // it was JSON
  if (Buffer.isBuffer(value)) throw new TypeError(`A column of the type ${type} cannot hold bytes.`);
  return type === 'text' ? withoutNul(String(value)) : value;
}

/** The number that a row adds to the checksum of its table. The same in SQL: `checksumOf`. */
export function checkOf(columns: readonly Column[], row: CarriedRow): bigint {
  const texts = columns.map(({ name, type }) => textOf(type, row[name] ?? null));
  return BigInt(`0x${hash('sha256', texts.join('|'), 'hex').slice(0, DIGITS)}`);
}

/** The sum of `checkOf` of all rows, in SQL. */
export function checksumOf(columns: readonly Column[]): string {
  const texts = columns.map(({ name, type }) => `coalesce(${sqlText(type, `"${name}"`)}, '')`);
  const digest = `encode(sha256(convert_to(${texts.join(" || '|' || ")}, 'UTF8')), 'hex')`;
  return `coalesce(sum(('x' || substr(${digest}, 1, ${DIGITS}))::bit(${4 * DIGITS})::bigint), 0)::text`;
}

function textOf(type: string, value: Exclude<Source, undefined>): string {
  if (value === null) return '';
  if (type === 'bytea') return hash('sha256', value as Buffer, 'hex');
  if (type === 'double precision') return String(BigInt(Math.trunc(Number(value))));
  return String(valueOf(type, value));
}

function sqlText(type: string, column: string): string {
  if (type === 'bytea') return `encode(sha256(${column}), 'hex')`;
  if (type === 'double precision') return `trunc(${column})::numeric::text`;
  if (type === 'uuid' || type === 'uuid[]') return `replace(${column}::text, '-', '')`;
  return `${column}::text`;
}

function hexOf(value: Exclude<Source, undefined>): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : plainUuid(String(value));
}
