import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Answer, Client } from './client.js';

/** The part of `/openapi.json` that tests use. */
export interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly securitySchemes: Readonly<Record<string, { readonly type: string; readonly scheme: string }>>;
  };
}

export interface Operation {
  readonly summary?: string;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

type Content = Readonly<Record<string, { readonly schema: object }>>;

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

export function schemasOf({ parameters = [], requestBody, responses }: Operation): object[] {
  const contents = [requestBody?.content, ...Object.values(responses).map(({ content }) => content)];
  const media = contents.flatMap((content) => Object.values(content ?? {}));
  return [...parameters, ...media].map(({ schema }) => schema);
}

/** The differences between an answer and the published schema of its route. Empty if there are none. */
export function faultsOf(document: OpenApi, route: string, { status, headers, body }: Answer<unknown>): string[] {
  const responses = routesOf(document).find((each) => each.route === route)?.operation.responses ?? {};
  const published = responses[String(status)] ?? responses[`${Math.floor(status / 100)}XX`];
  if (!published) return [`status ${status} is not published`];
  if (status === 204) return body === null && !published.content ? [] : ['a 204 has no body'];
  const type = headers.get('content-type')?.split(';')[0] ?? 'none';
  const schema = published.content?.[type]?.schema;
  if (!schema) return [`content type ${type} is not published`];
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.validate(schema, body);
  return (ajv.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
}
