import { LONGEST_QUOTED, quoted } from '../quoted.js';
/**
 * What a schema takes, in words that errors use. A schema can say it itself: `x-expected` ("an http:// or https:// URL")
 * and `examples`. Where it says nothing, its type and limits are put into words; a pattern never is. `writeOnly` marks a
 * secret, which no error repeats.
 */
export interface AnnotatedSchema {
  readonly type?: string;
  readonly 'x-expected'?: string;
  readonly examples?: readonly unknown[];
  readonly writeOnly?: boolean;
  readonly enum?: readonly unknown[];
  readonly const?: string | number | boolean | null;
  readonly properties?: Readonly<Record<string, AnnotatedSchema>>;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** A value as an error repeats it: shortened, without the credentials of a URL, and no more of a structure than its kind. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'empty' : quoted(value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** What a schema takes, in words: `a whole number from 1 to 500, for example 50`. */
export function expectedOf(schema: AnnotatedSchema): string {
  const [example] = schema.examples ?? [];
  const words = schema['x-expected'] ?? typeWords(schema);
  return example === undefined ? words : `${words}, for example ${exampleText(example)}`;
}

function exampleText(example: unknown): string {
  return typeof example === 'string' ? example : JSON.stringify(example);
}

function typeWords(schema: AnnotatedSchema): string {
  if (schema.enum) return schema.enum.length === 1 ? String(schema.enum[0]) : `one of ${schema.enum.join(', ')}`;
  if (schema.const !== undefined) return String(schema.const);
  switch (schema.type) {
    case 'integer':
      return `a whole number${rangeWords(schema)}`;
    case 'number':
      return `a number${rangeWords(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return `a text${lengthWords(schema.minLength, schema.maxLength, 'characters')}`;
    case 'array':
      return `a list${lengthWords(schema.minItems, schema.maxItems, 'items')}`;
    case 'object':
      return 'a JSON object';
    case 'null':
      return 'null';
    default:
      return 'another value';
  }
}

function rangeWords({ minimum, maximum, exclusiveMinimum }: AnnotatedSchema): string {
  const most = maximum === undefined ? '' : ` to ${count(maximum)}`;
  if (exclusiveMinimum !== undefined) return ` above ${count(exclusiveMinimum)}${most === '' ? '' : ` and up${most}`}`;
  if (minimum === undefined) return most === '' ? '' : ` up${most}`;
  return most === '' ? ` of at least ${count(minimum)}` : ` from ${count(minimum)}${most}`;
}

function lengthWords(least = 0, most = Infinity, unit: string): string {
  if (most === Infinity) return least > 0 ? ` of at least ${count(least)} ${unit}` : '';
  return least > 0 ? ` of ${count(least)} to ${count(most)} ${unit}` : ` of at most ${count(most)} ${unit}`;
}

/** `; did you mean "channels"?` where one of the known names is close, else all of them. */
export function hint(unknown: string, known: readonly string[]): string {
  const distances = known.map((name) => ({ name, distance: editDistance(unknown.toLowerCase(), name.toLowerCase()) }));
  const nearest = distances.sort((a, b) => a.distance - b.distance)[0];
  if (nearest && nearest.distance <= Math.max(2, unknown.length / 4)) return `; did you mean "${nearest.name}"?`;
  return known.length === 0
    ? '; expected none'
    : `; expected ${known.length === 1 ? '' : 'one of '}${known.join(', ')}`;
}

/** Levenshtein's distance, of names that are not longer than a schema's. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [at, letter] of Array.from(one.slice(0, LONGEST_QUOTED)).entries()) {
    const next = [at + 1];
    for (const [index, wanted] of Array.from(other).entries()) {
      const replaced = (row[index] ?? 0) + (letter === wanted ? 0 : 1);
      next.push(Math.min(replaced, (row[index + 1] ?? 0) + 1, (next[index] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** `/channels/0` as people write it: `channels[0]`. */
export function nameOf(pointer: string): string {
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return parts.reduce(
    (name, part) => (/^\d+$/.test(part) ? `${name}[${part}]` : name === '' ? part : `${name}.${part}`),
    '',
  );
}

/** A name as a part of a JSON pointer (RFC 6901). */
export function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** `9,997`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}
