import type { FastifyError } from 'fastify';
import { GatewayError } from '../errors.js';
import type { FieldError } from '../errors.js';
import { count, expectedOf, hint, nameOf, pointerPart, shown } from './schema-words.js';
import type { AnnotatedSchema } from './schema-words.js';
import { quoted, withoutSecrets } from '../quoted.js';

/** One fault that ajv found. With `verbose` it has the value, and the schema that the value breaks. */
export type Fault = NonNullable<FastifyError['validation']>[number] & {
  readonly data?: unknown;
  readonly parentSchema?: AnnotatedSchema;
};

/** A part of a request, as an error names it and its fields. */
export interface RequestPart {
  readonly name: string;
  readonly field: string;
}

/** The parts of a request by fastify's names. */
const BODY: RequestPart = { name: 'request body', field: 'field' };
const PARTS: ReadonlyMap<string, RequestPart> = new Map([
  ['body', BODY],
  ['querystring', { name: 'query', field: 'parameter' }],
  ['params', { name: 'path', field: 'parameter' }],
  ['headers', { name: 'headers', field: 'header' }],
]);

export function partOf(validationContext: string | undefined): RequestPart {
  return PARTS.get(validationContext ?? '') ?? { name: 'request', field: 'field' };
}

/** One fault in words. */
interface Described extends FieldError {
  /** Of an item of a list: the list, the value, and what was expected, so that many alike become one sentence. */
  readonly item?: { readonly list: string; readonly value: string; readonly expected: string };
}

/** The most faults that `errors` lists. */
const MOST_FIELDS = 20;
const MOST_IN_DETAIL = 3;

/** The faults of a request as the `detail` and the `errors` of a problem. Pure. */
export function describeFaults(faults: readonly Fault[], part: RequestPart): { detail: string; fields: FieldError[] } {
  const nullable = new Set(faults.filter(isNullExpected).map(({ instancePath }) => instancePath));
  const all = faults.filter(isWorthTelling(faults)).map((fault) => describe(fault, part, nullable));
  // A value that breaks several rules of its schema is reported once.
  const described = [...new Map(all.map((each) => [`${each.path} ${each.message}`, each])).values()];
  const fields = described.slice(0, MOST_FIELDS).map(({ path, message }) => ({ path, message }));
  return { detail: detailOf(described, part), fields };
}

/** An error of one field that no schema can find. `message` names the field. */
export function invalidField(path: string, message: string, part: Pick<RequestPart, 'name'> = BODY): GatewayError {
  return new GatewayError('GW_BAD_REQUEST', `Invalid ${part.name}: ${ended(message)}`, [{ path, message }]);
}

/** `Invalid request body: "url" is "localhost"; expected …. Unknown field "x". And 4 more.` */
function detailOf(described: readonly Described[], part: RequestPart): string {
  const groups = new Map<string, Described[]>();
  for (const each of described) {
    const key = each.item ? `${each.item.list} ${each.item.expected}` : each.path + each.message;
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  const sentences = [...groups.values()].map(sentenceOf);
  const more = sentences.length - MOST_IN_DETAIL;
  const shownSentences = [...sentences.slice(0, MOST_IN_DETAIL), ...(more > 0 ? [`and ${count(more)} more`] : [])];
  return `Invalid ${part.name}: ${shownSentences
    .map((text, index) => (index === 0 ? text : capitalised(text)))
    .map(ended)
    .join(' ')}`;
}

function sentenceOf(group: readonly Described[]): string {
  const [first] = group;
  if (!first) return '';
  if (group.length === 1 || !first.item) return first.message;
  const values = group.slice(0, MOST_IN_DETAIL).map(({ item }) => item?.value ?? '');
  const more = group.length - values.length;
  const rest = more > 0 ? ` and ${count(more)} more` : '';
  return `"${first.item.list}" has ${count(group.length)} invalid items: ${values.join(', ')}${rest}; expected ${first.item.expected}`;
}

/** Where a value may be null, ajv also reports that it is not null: noise beside what is wrong with it. */
function isWorthTelling(faults: readonly Fault[]): (fault: Fault) => boolean {
  const unions = new Set(faults.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath));
  return (fault) => fault.keyword !== 'anyOf' && !(isNullExpected(fault) && unions.has(fault.instancePath));
}

function isNullExpected({ keyword, params }: Fault): boolean {
  return keyword === 'type' && params['type'] === 'null';
}

function describe(fault: Fault, { field }: RequestPart, nullable: ReadonlySet<string>): Described {
  const { instancePath, keyword, params, data, parentSchema: schema = {} } = fault;
  const path = withoutSecrets(instancePath); // it has the names that the client gave
  const name = nameOf(path);
  const known = Object.keys(schema.properties ?? {});
  const expected = `${expectedOf(schema)}${nullable.has(instancePath) ? ', or null' : ''}`;
  switch (keyword) {
    case 'required': {
      const missing = String(params['missingProperty']);
      const right = schema.properties?.[missing];
      const message = `missing ${field} "${missing}"${right && !('$ref' in right) ? `; expected ${expectedOf(right)}` : ''}`;
      return { path, message };
    }
    case 'additionalProperties': {
      const extra = String(params['additionalProperty']);
      return {
        path: `${path}/${pointerPart(withoutSecrets(extra))}`,
        message: `unknown ${field} ${quoted(extra)}${hint(extra, known)}`,
      };
    }
    case 'minProperties':
      return { path, message: `no ${field} is given; expected at least one of ${known.join(', ')}` };
    case 'maxProperties':
      return { path, message: `"${name}" has too many entries; expected at most ${count(Number(params['limit']))}` };
    case 'uniqueItems':
      return { path, message: `"${name}" has ${shown((data as unknown[] | undefined)?.[Number(params['i'])])} twice` };
    default:
      return { path, ...valueMessage(path, data, schema, expected) };
  }
}

function valueMessage(path: string, data: unknown, schema: AnnotatedSchema, expected: string): Omit<Described, 'path'> {
  if (path === '') {
    return { message: `expected ${expected}${data === null || data === undefined ? '' : `, not ${kindOf(data)}`}` };
  }
  const value = isSecret(path, schema) ? null : sized(data, schema);
  const message = `"${nameOf(path)}" is ${value ?? 'not valid'}; expected ${expected}`;
  const list = /^(.+)\/\d+$/.exec(path)?.[1];
  return list === undefined ? { message } : { message, item: { list: nameOf(list), value: value ?? '…', expected } };
}

/** A whole body is not repeated: it may hold anything. */
function kindOf(value: unknown): string {
  if (typeof value === 'object') return shown(value);
  return value === '' ? 'an empty string' : `a ${typeof value}`;
}

/** The value, or its size where that is what is wrong with it. */
function sized(data: unknown, { maxLength = Infinity }: AnnotatedSchema): string {
  if (typeof data === 'string' && data.length > maxLength) return `${count(data.length)} characters long`;
  if (Array.isArray(data)) return data.length === 0 ? 'an empty list' : `a list of ${count(data.length)} items`;
  return shown(data);
}

const SECRET_NAME = /token|secret|password|authorization|^\/headers\//i;

function isSecret(path: string, { writeOnly }: AnnotatedSchema): boolean {
  return writeOnly === true || SECRET_NAME.test(path);
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function ended(text: string): string {
  return /[.?]$/.test(text) ? text : `${text}.`;
}
