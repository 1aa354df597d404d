import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import { startLocal } from '../support/gateway.js';
import { openApiOf } from '../support/openapi.js';

const FILE = new URL('../../docs/openapi.json', import.meta.url);

describe('docs/openapi.json', () => {
  it('is the document that the gateway serves', async () => {
    const document = await openApiOf(await startLocal());
    const text = await format(JSON.stringify(document), { parser: 'json', printWidth: 120 });
    if (process.env['UPDATE_OPENAPI'] !== undefined) writeFileSync(FILE, text);
    const isSame = readFileSync(FILE, 'utf8') === text;
    expect(isSame, 'docs/openapi.json is out of date: run "npm run openapi" and review the change.').toBe(true);
  });
});
