import type { TSchema } from 'typebox';
import { errorsOf, MEANING_OF } from '../contract/error-codes.js';
import { EXAMPLES } from '../contract/examples.js';
import type { Operation } from '../contract/operation.js';
import { STATUS_OF } from '../errors.js';
import type { GatewayErrorCode } from '../errors.js';
import { PROBLEM_TYPE } from './problem.js';
import { problemExample, whapiErrorExample } from './problem-examples.js';
import { RESYNC_HEADER } from './whapi-forward.js';

/**
 * The parts of the document that come from the contract and not from the routes: errors, examples, and paths whose routes
 * have wildcards.
 */

interface Schema {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly type?: string;
}

interface Media {
  schema?: Schema;
  examples?: Record<string, { $ref: string }>;
}

type Content = Record<string, Media>;

interface Response {
  readonly $ref?: string;
  description?: string;
  headers?: Record<string, unknown>;
  content?: Content;
}

interface DescribedOperation {
  readonly operationId: string;
  readonly tags: Operation['tags'];
  readonly security?: Operation['security'];
  'x-errors'?: readonly GatewayErrorCode[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, Response>;
}

export interface Document {
  readonly paths: Record<string, Record<string, DescribedOperation>>;
  readonly components: {
    readonly schemas: Record<string, Record<string, unknown>>;
    examples?: Record<string, { value: unknown }>;
    responses?: Record<string, Response>;
  };
}

const JSON_TYPE = 'application/json';
const RESYNC_HEADERS = {
  [RESYNC_HEADER]: {
    description: 'Where `auto_resync` started a resync of the missing message: its id.',
    schema: { type: 'string' },
  },
};
const RETRY_AFTER = {
  'Retry-After': { description: 'Seconds to wait before the next try.', schema: { type: 'integer' } },
};
const WITH_RETRY_AFTER: ReadonlySet<number> = new Set([429, 503]);

/** Adds errors and examples to every operation. */
export function completeDocument({ paths, components }: Document): void {
  const examples: Record<string, { value: unknown }> = {};
  const responses: Record<string, Response> = {};
  for (const path of Object.values(paths)) {
    for (const [method, operation] of Object.entries(path)) {
      relaxBody(operation);
      addErrors(operation, method, { examples, responses });
      for (const content of contentsOf(operation)) addExamples(content, examples);
      for (const response of Object.values(operation.responses)) describeResponse(response, components.schemas);
    }
  }
  for (const schema of Object.values(components.schemas)) delete schema['$id'];
  components.examples = sorted(examples);
  components.responses = sorted(responses);
}

/** Fastify counts every body as required; one that may be null may as well be left out. */
function relaxBody({ requestBody }: DescribedOperation): void {
  if (!requestBody) return;
  for (const media of Object.values(requestBody.content)) {
    const [schema, nothing] = media.schema?.anyOf ?? [];
    if (!schema || nothing?.type !== 'null') continue;
    media.schema = schema;
    requestBody.required = false;
  }
}

/** Responses of the same codes are one component, such as `NotFoundOrPayloadGone`. */
function addErrors(
  operation: DescribedOperation,
  method: string,
  { examples, responses }: Required<Pick<Document['components'], 'examples' | 'responses'>>,
): void {
  const codes = errorsOf(operation, method);
  delete operation['x-errors'];
  const isWhapi = operation.tags[0] === 'whapi';
  for (const status of new Set(codes.map((code) => STATUS_OF[code]))) {
    const same = codes.filter((code) => STATUS_OF[code] === status);
    const name = `${isWhapi ? 'Whapi' : ''}${same.toSorted().map(pascalCase).join('Or')}`;
    operation.responses[status] = { $ref: `#/components/responses/${name}` };
    responses[name] ??= errorResponse(status, same.toSorted(), isWhapi);
    for (const code of same) {
      examples[exampleName(code, isWhapi)] ??= { value: isWhapi ? whapiErrorExample(code) : problemExample(code) };
    }
  }
}

function errorResponse(status: number, codes: readonly GatewayErrorCode[], isWhapi: boolean): Response {
  const schema = { $ref: `#/components/schemas/${isWhapi ? 'WhapiError' : 'Problem'}` };
  const names = codes.map((code) => exampleName(code, isWhapi));
  return {
    description: codes.map((code) => `\`${code}\`: ${MEANING_OF[code]}`).join('\n\n'),
    ...(WITH_RETRY_AFTER.has(status) && { headers: RETRY_AFTER }),
    content: { [isWhapi ? JSON_TYPE : PROBLEM_TYPE]: { schema, examples: exampleRefs(names) } },
  };
}

function contentsOf({ requestBody, responses }: DescribedOperation): Content[] {
  return [requestBody?.content, ...Object.values(responses).map(({ content }) => content)].filter(
    (content) => content !== undefined,
  );
}

/** Points to the examples of the named schema that a body has. */
function addExamples(content: Content, examples: Record<string, { value: unknown }>): void {
  for (const media of Object.values(content)) {
    const name = media.schema?.$ref?.split('/').at(-1) ?? '';
    const values = EXAMPLES[name];
    if (!values) continue;
    const names = Object.keys(values);
    for (const key of names) examples[key] = { value: values[key] };
    media.examples = exampleRefs(names);
  }
}

function exampleRefs(names: readonly string[]): Record<string, { $ref: string }> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/examples/${name}` }]));
}

/** A response says what its schema says of itself, in place of "Default Response". */
function describeResponse(response: Response, schemas: Record<string, Record<string, unknown>>): void {
  const name =
    Object.values(response.content ?? {})[0]
      ?.schema?.$ref?.split('/')
      .at(-1) ?? '';
  const description = schemas[name]?.['description'];
  if (typeof description === 'string') response.description = description;
}

/** Paths that are described in the contract alone, in the form of the document. */
export function describePaths(
  paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>,
): Record<string, Record<string, DescribedOperation>> {
  const mapped = (path: Readonly<Record<string, Operation>>) =>
    Object.fromEntries(Object.entries(path).map(([method, operation]) => [method, describe(operation, method)]));
  return Object.fromEntries(Object.entries(paths).map(([path, operations]) => [path, mapped(operations)]));
}

function describe(operation: Operation, method: string): DescribedOperation {
  const { params, querystring, body, response, ...text } = operation;
  const parameters = [...parametersOf(params, 'path'), ...parametersOf(querystring, 'query')];
  const isWhapi = operation.tags[0] === 'whapi';
  const contentOf = (schema: TSchema): Content => ({ [isWhapi ? '*/*' : JSON_TYPE]: { schema: inDocument(schema) } });
  const responses = Object.entries(response).map(([status, schema]) => [
    status,
    {
      description: isWhapi ? "Whapi's answer, unchanged." : 'Success.',
      ...(isWhapi && { headers: RESYNC_HEADERS }),
      ...(method !== 'head' && { content: contentOf(schema) }),
    },
  ]);
  return {
    ...text,
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: !isWhapi, content: contentOf(body) } }),
    responses: {
      ...(Object.fromEntries(responses) as Record<string, Response>),
      ...(isWhapi && { default: { description: "Any other answer of Whapi's, unchanged." } }),
    },
  };
}

function parametersOf(schema: TSchema | undefined, place: 'path' | 'query') {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, { description?: string }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    ...{ name, in: place, required: required.includes(name), description },
    schema: inDocument(rest),
  }));
}

/** A schema of the contract with its pointers as the document has them. */
function inDocument(schema: object): Schema {
  return JSON.parse(
    JSON.stringify(schema, (key, value: unknown) =>
      key === '$ref' && typeof value === 'string' ? `#/components/schemas/${value.replace(/#$/, '')}` : value,
    ),
  ) as Schema;
}

/** `GW_NOT_FOUND` as `NotFound`. */
function pascalCase(code: GatewayErrorCode): string {
  return code
    .replace('GW_', '')
    .replace(/([A-Z])([A-Z]*)_?/g, (_all, first: string, rest: string) => first + rest.toLowerCase());
}

function exampleName(code: GatewayErrorCode, isWhapi: boolean): string {
  return isWhapi ? `WHAPI_${code}` : code;
}

function sorted<T>(entries: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
}
