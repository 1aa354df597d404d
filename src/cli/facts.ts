import { isRecord } from '../json.js';
import { table } from './terminal.js';

const INDENT = '  ';

/**
 * An answer of the API as text: a line for each field, then its lists as tables and its longer texts as they are. Fields
 * that are null or empty are left out. Names are those of the API, so that nothing has two names.
 * @param columns width of the terminal; null: no limit
 */
export function factsText(record: object, columns: number | null = null): string {
  const entries = Object.entries(record).filter(([, value]) => !isNothing(value));
  const short = entries.flatMap(([name, value]) => {
    const text = shortText(value);
    return text === null ? [] : [[name, text] as const];
  });
  const width = Math.max(0, ...short.map(([name]) => name.length));
  const lines = short.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`);
  const blocks = entries.flatMap(([name, value]) =>
    shortText(value) === null ? [`${name}:\n${blockText(value, columns)}`] : [],
  );
  return [...lines, ...blocks].join('');
}

/** `12 restored, 3 failed`: numbers by name, without the zeros. */
export function countsText(counts: Readonly<Record<string, number>>): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([name, count]) => `${count} ${name.replaceAll('_', ' ')}`).join(', ');
}

function isNothing(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isNothing);
  return value === null || value === undefined || value === '';
}

/** What fits on the line of its field; null: it does not. */
function shortText(value: unknown): string | null {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value.includes('\n') ? null : value;
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.some(isRecord) ? null : value.map(String).join(', ');
  if (!isRecord(value)) return '';
  return isCounts(value) ? countsText(value) || '0' : null;
}

function isCounts(value: Readonly<Record<string, unknown>>): value is Record<string, number> {
  return Object.values(value).every((each) => typeof each === 'number');
}

function blockText(value: unknown, columns: number | null): string {
  const room = columns === null ? null : columns - INDENT.length;
  if (Array.isArray(value)) return indented(tableOf(value.filter(isRecord), room));
  return isRecord(value) ? indented(factsText(value, room)) : `${String(value).trimEnd()}\n`;
}

/** The short fields of the records, one column each; columns without a value are left out. */
function tableOf(records: readonly Readonly<Record<string, unknown>>[], columns: number | null): string {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))].filter((name) =>
    records.some((record) => !isNothing(record[name]) && cellText(record[name]) !== ''),
  );
  const rows = records.map((record) => names.map((name) => cellText(record[name])));
  return table(
    names.map((name) => name.toUpperCase().replaceAll('_', ' ')),
    rows,
    columns,
  );
}

function cellText(value: unknown): string {
  if (isNothing(value)) return '';
  return typeof value === 'string' ? value.replaceAll(/\s+/g, ' ') : (shortText(value) ?? '');
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, INDENT);
}
