import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';

/**
 * How schemas are made. A schema with an `$id` is a named component of `/openapi.json`: others point to it with `ref`,
 * and `all.ts` lists it, so that the server can look it up.
 */

/** A pointer to a named schema. It has the type of what it points to. */
export function ref<T extends TSchema & { readonly $id?: string }>(schema: T) {
  if (schema.$id === undefined) throw new Error('Only a schema with an $id can be pointed to.');
  return Type.Unsafe<Static<T>>(Type.Ref(`${schema.$id}#`));
}

export function oneOf<const T extends readonly string[]>(words: T, options: { description?: string } = {}) {
  return Type.Unsafe<T[number]>(Type.String({ enum: [...words], ...options }));
}

/** The schema, or null. The description stands outside as well, where generators of clients show it. */
export const orNull = <T extends TSchema & { readonly description?: string }>(schema: T) =>
  Type.Union([schema, Type.Null()], schema.description === undefined ? {} : { description: schema.description });

/** Items of a page when a request does not say: 50. */
export const DEFAULT_LIMIT = 50;

const page = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 500,
      default: DEFAULT_LIMIT,
      description: 'Maximum number of entries per page.',
    }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 200, description: '`next_cursor` of the page before. Leave it out for the first page.' }),
  ),
};

/** The query of a list: its filters, `limit` and `cursor`. */
export const pageQuery = <T extends Record<string, TSchema>>(filters: T) =>
  Type.Object({ ...filters, ...page }, { additionalProperties: false });

/** One page of a list of named entries: `TargetPage` holds entries of the schema `Target`. */
export const pageOf = <T extends TSchema & { readonly $id?: string }>(entry: T) =>
  Type.Object(
    {
      data: Type.Array(ref(entry)),
      next_cursor: orNull(Type.String({ description: 'Send it as `cursor` to get the next page; null on the last.' })),
    },
    { $id: `${entry.$id ?? ''}Page`, description: 'One page of a list.' },
  );

/** A path with one variable part. */
export const pathParams = <const Name extends string>(name: Name, description: string, example?: string) =>
  Type.Object({
    [name]: Type.String({ description, ...(example !== undefined && { examples: [example] }) }),
  } as Record<Name, ReturnType<typeof Type.String>>);
