import { Ajv } from 'ajv';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { NAMED_SCHEMAS } from '../contract/all.js';

/**
 * Compiles each schema at the first request that needs it: all of them would take a fifth of the start.
 *
 * Fastify's own validator turns types into one another, which a query needs (`limit=5`) and a body must not have: there
 * `null` would become 0, and an unknown field would vanish without a word.
 */
export function validatorCompiler() {
  // Formats are for readers of the document: what a time or a URL has to be is checked by code that says it in words.
  const options = {
    allErrors: true,
    useDefaults: true,
    removeAdditional: false,
    strict: false,
    verbose: true, // errors repeat the value, in the words of its schema
    validateFormats: false,
  };
  const strict = new Ajv(options).addSchema([...NAMED_SCHEMAS]);
  const coercing = new Ajv({ ...options, coerceTypes: true }).addSchema([...NAMED_SCHEMAS]);
  return ({ schema, httpPart }: { schema: unknown; httpPart?: string }) => {
    let compiled: ValidateFunction | null = null;
    const validate = (data: unknown): boolean => {
      compiled ??= (httpPart === 'body' ? strict : coercing).compile(schema as object);
      const isValid = compiled(data);
      validate.errors = compiled.errors ?? null;
      return isValid;
    };
    validate.errors = null as ErrorObject[] | null;
    return validate;
  };
}
