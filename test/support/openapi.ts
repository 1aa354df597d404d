import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Answer, Client } from './client.js';

/** What `/openapi.json` says, as far as tests look at it. */
export interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly license: { readonly name: string } };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly security: readonly SecurityRequirement[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly securitySchemes: Readonly<Record<string, { readonly type: string; readonly scheme: string }>>;
    readonly schemas: Readonly<Record<string, object>>;
    readonly examples: Readonly<Record<string, { readonly value: unknown }>>;
    readonly responses: Readonly<Record<string, Response>>;
  };
}

type SecurityRequirement = Readonly<Record<string, readonly string[]>>;

interface Reference {
  readonly $ref: string;
}

interface Response {
  readonly description: string;
  readonly content?: Content;
}

export interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly security?: readonly SecurityRequirement[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Response | Reference>>;
}

interface Media {
  readonly schema: object;
  readonly examples?: Readonly<Record<string, Reference>>;
}

type Content = Readonly<Record<string, Media>>;

export interface Route {
  /** As in the contract: `GET /v1/targets/{id}`. */
  readonly route: string;
  readonly path: string;
  readonly operation: Operation;
}

export async function openApiOf(gateway: Client): Promise<OpenApi> {
  return (await gateway.call<OpenApi>('GET', '/openapi.json')).body;
}

export function routesOf({ paths }: OpenApi): Route[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      route: `${method.toUpperCase()} ${path}`,
      path,
      operation,
    })),
  );
}

/** The responses of an operation by their status, with references followed. */
export function responsesOf({ components }: OpenApi, { responses }: Operation): Record<string, Response> {
  const followed = Object.entries(responses).map(([status, response]) => {
    const name = '$ref' in response ? response.$ref.split('/').at(-1) : undefined;
    return [status, name === undefined ? response : components.responses[name]];
  });
  return Object.fromEntries(followed) as Record<string, Response>;
}

/** Every body that an operation takes or gives. */
export function mediaOf(document: OpenApi, operation: Operation): Media[] {
  const responses = Object.values(responsesOf(document, operation));
  const contents = [operation.requestBody?.content, ...responses.map(({ content }) => content)];
  return contents.flatMap((content) => Object.values(content ?? {}));
}

export function schemasOf(document: OpenApi, operation: Operation): object[] {
  return [...(operation.parameters ?? []), ...mediaOf(document, operation)].map(({ schema }) => schema);
}

const FORMATS: Readonly<Record<string, RegExp>> = {
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  uri: /^[a-z][a-z0-9+.-]*:[^\s]+$/i,
  'uri-reference': /^[^\s]*$/,
};

/** One validator per document: a schema that is used twice is compiled once. */
const validators = new WeakMap<OpenApi, Ajv2020>();

function validatorOf(document: OpenApi): Ajv2020 {
  const known = validators.get(document);
  if (known) return known;
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: FORMATS });
  ajv.addSchema(document, 'document');
  validators.set(document, ajv);
  return ajv;
}

/** What of a value is not as a schema of the document says, formats included; empty where all is. */
export function schemaFaults(document: OpenApi, schema: object, value: unknown): string[] {
  const ajv = validatorOf(document);
  const validate = '$ref' in schema ? ajv.getSchema(`document${String(schema.$ref)}`) : ajv.compile(schema);
  if (!validate) return ['the document has no such schema'];
  void validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
}

/** What of an answer is not as published for its route; empty where all is. */
export function faultsOf(document: OpenApi, route: string, { status, headers, body }: Answer<unknown>): string[] {
  const operation = routesOf(document).find((each) => each.route === route)?.operation;
  const published = operation && responsesOf(document, operation)[String(status)];
  if (!published) return [`status ${status} is not published`];
  if (status === 204) return body === null && !published.content ? [] : ['a 204 has no body'];
  const type = headers.get('content-type')?.split(';')[0] ?? 'none';
  const schema = published.content?.[type]?.schema;
  if (!schema) return [`content type ${type} is not published`];
  const { code } = (body ?? {}) as { code?: string };
  if (status >= 400 && code !== undefined && !published.description.includes(code)) return [`${code} is not published`];
  return schemaFaults(document, schema, body);
}
