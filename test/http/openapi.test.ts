import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import { STATUS_OF } from '../../src/errors.js';
import { startApi } from '../support/api.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import { faultsOf, mediaOf, openApiOf, responsesOf, routesOf, schemaFaults } from '../support/openapi.js';
import { textWebhook } from '../support/texts.js';

const FILE = new URL('../../docs/openapi.json', import.meta.url);
const PACKAGE = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
  readonly license: string;
};

describe('docs/openapi.json', () => {
  it('is the document that the gateway serves', async () => {
    const document = await openApiOf(await startLocal());
    const text = await format(JSON.stringify(document), { parser: 'json', printWidth: 120 });
    if (process.env['UPDATE_OPENAPI'] !== undefined) writeFileSync(FILE, text);
    const isSame = readFileSync(FILE, 'utf8') === text;
    expect(isSame, 'docs/openapi.json is out of date: run "npm run openapi" and review the change.').toBe(true);
  });
});

describe('the OpenAPI document', () => {
  it('has the version and the licence of the package, and a server', async () => {
    const { info, servers } = await openApiOf(await startLocal());
    expect(info).toMatchObject({ version: PACKAGE.version, license: { name: PACKAGE.license } });
    expect(servers.map(({ url }) => url)).toContain('http://127.0.0.1:8080');
  });

  it('gives every operation an id of its own, a summary, a description and a declared tag', async () => {
    const document = await openApiOf(await startLocal());
    const routes = routesOf(document);
    const declared = document.tags.map(({ name }) => name);
    expect(new Set(routes.map(({ operation }) => operation.operationId)).size).toBe(routes.length);
    for (const { route, operation } of routes) {
      expect([route, operation]).toMatchObject([
        route,
        {
          operationId: expect.stringMatching(/^[a-z]+[A-Z][A-Za-z]+$/) as unknown,
          summary: expect.stringMatching(/\S/) as unknown,
          description: expect.stringMatching(/\S/) as unknown,
        },
      ]);
      expect(declared).toEqual(expect.arrayContaining([...operation.tags]));
    }
  });

  it('gives every body an example that is true to its schema', async () => {
    const document = await openApiOf(await startLocal());
    const bodies = routesOf(document).flatMap(({ route, operation }) =>
      mediaOf(document, operation).map((media) => ({ route, ...media })),
    );
    const passed = new Set(['WhapiBody', '']); // Whapi's own bodies, and the document itself
    for (const { route, schema, examples = {} } of bodies) {
      const name = ('$ref' in schema ? String(schema.$ref) : '').split('/').at(-1) ?? '';
      expect([route, name, Object.keys(examples).length > 0]).toEqual([route, name, !passed.has(name)]);
      for (const key of Object.keys(examples)) {
        const { value } = document.components.examples[key] ?? {};
        expect([route, key, schemaFaults(document, schema, value)]).toEqual([route, key, []]);
      }
    }
  });

  it('names the errors of every operation with a token by their codes, and knows each code', async () => {
    const document = await openApiOf(await startLocal());
    for (const { route, operation } of routesOf(document)) {
      if (operation.security?.length === 0 && !route.includes('/webhooks/')) continue; // no token, no input
      const statuses = Object.keys(operation.responses);
      expect([route, statuses]).toEqual([route, expect.arrayContaining(['400', '401', '429', '500', '503'])]);
    }
    const described = Object.values(document.components.responses).map(({ description }) => description);
    const onConnections = ['GW_TIMEOUT', 'GW_HEADERS_TOO_LARGE']; // told once, in the description of the API
    const named = Object.keys(STATUS_OF).filter((code) => described.some((text) => text.includes(code)));
    expect([...named, ...onConnections].sort()).toEqual(Object.keys(STATUS_OF).sort());
  });

  it('lists all error codes as an enum', async () => {
    const { components } = await openApiOf(await startLocal());
    expect(components.schemas['ErrorCode']).toMatchObject({ enum: Object.keys(STATUS_OF) });
  });

  it('requires no parameter that has a default', async () => {
    const document = await openApiOf(await startLocal());
    const parameters = routesOf(document).flatMap(({ operation }) => operation.parameters ?? []);
    const withDefault = parameters.filter(({ schema }) => 'default' in schema);
    expect(withDefault.length).toBeGreaterThan(5);
    expect(withDefault.filter(({ required }) => required)).toEqual([]);
  });

  it('is true of webhooks in every form, and of their refusal', async () => {
    const gateway = await startApi();
    const document = await openApiOf(gateway);
    for (const [path, suffix] of FORMS) {
      const isInPath = path.includes('{webhook_secret}');
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        const url = `/webhooks/main${suffix}`;
        const headers = isInPath ? { authorization: '' } : { authorization: `Bearer ${WEBHOOK_SECRET}` };
        const accepted = await gateway.call(method, url, JSON.parse(textWebhook('a')), headers);
        expect([path, accepted.status, faultsOf(document, `${method} ${path}`, accepted)]).toEqual([path, 200, []]);
        const refused = await gateway.call(method, url.replace(WEBHOOK_SECRET, 'wrong'), {}, { authorization: '' });
        if (refused.status !== 200) expect(faultsOf(document, `${method} ${path}`, refused)).toEqual([]);
      }
    }
  });

  it('is true of an error under /whapi, which has the form of those of Whapi', async () => {
    const gateway = await startApi();
    const document = await openApiOf(gateway);
    const refused = await gateway.call('GET', '/whapi/messages/a', undefined, { authorization: 'Bearer unknown' });
    expect(refused.status).toBe(401);
    expect(faultsOf(document, 'GET /whapi/messages/{message_id}', refused)).toEqual([]);
    const route = routesOf(document).find((each) => each.route === 'GET /whapi/{path}');
    expect(Object.keys(route ? responsesOf(document, route.operation) : {})).toEqual(
      expect.arrayContaining(['200', '401', '429', '502', '504', 'default']),
    );
  });
});

/** Every documented path of a webhook, with a URL below the channel that has its form. */
const FORMS = [
  ['/webhooks/{channel}', ''],
  ['/webhooks/{channel}/{suffix}', '/messages/post'],
  ['/webhooks/{channel}/s/{webhook_secret}', `/s/${WEBHOOK_SECRET}`],
  ['/webhooks/{channel}/s/{webhook_secret}/{suffix}', `/s/${WEBHOOK_SECRET}/messages/post`],
] as const;
