import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import Fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { NAMED_SCHEMAS } from '../../src/contract/all.js';

describe('serialization', () => {
  it('has no schema that would fail at its first answer', () => {
    const app = Fastify();
    for (const schema of NAMED_SCHEMAS) app.addSchema(schema);
    const compile = SerializerSelector()(app.getSchemas(), {});
    const answerOf = { method: 'GET', url: '/', httpStatus: '200' };
    for (const { $id } of NAMED_SCHEMAS)
      expect(() => compile({ ...answerOf, schema: { $ref: `${$id}#` } }), $id).not.toThrow();
  });
});
