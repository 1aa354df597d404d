import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import openapiTypescript, { astToString } from 'openapi-typescript';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const DOCUMENT = new URL('../../docs/openapi.json', import.meta.url);
/** Only in memory. */
const FILE = join(import.meta.dirname, 'generated-client.ts');

/** A client in the manner of openapi-fetch: the operation's name, what it takes, what it answers. */
const CLIENT = `
type Body<Op> = Op extends { requestBody: { content: { 'application/json': infer B } } } ? { body: B }
  : Op extends { requestBody?: { content: { 'application/json': infer B } } } ? { body?: B } : { body?: undefined };
type Query<Op> = Op extends { parameters: { query?: infer Q } } ? { query?: Q } : {};
type Path<Op> = Op extends { parameters: { path: infer P } } ? { path: P } : {};
type Answer<Op> = Op extends { responses: infer R }
  ? R[keyof R & (200 | 201 | 202)] extends { content: { 'application/json': infer A } } ? A : undefined : never;
declare function call<Name extends keyof operations>(
  name: Name,
  input: Body<operations[Name]> & Query<operations[Name]> & Path<operations[Name]>,
): Answer<operations[Name]>;
`;

/** What is wrong with calls of the generated client, as the compiler says it. */
async function compiled(calls: string): Promise<string[]> {
  const api = astToString(await openapiTypescript(readFileSync(DOCUMENT, 'utf8')));
  const source = `${api}${CLIENT}${calls}`;
  const options: ts.CompilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: true, types: [] },
    ...{
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
    },
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (path) => path === FILE || fileExists(path);
  host.readFile = (path) => (path === FILE ? source : readFile(path));
  host.getSourceFile = (path, version) => {
    const text = host.readFile(path);
    return text === undefined ? undefined : ts.createSourceFile(path, text, version);
  };
  const program = ts.createProgram([FILE], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('a client generated from docs/openapi.json', () => {
  it(
    'compiles calls without optional parameters, and knows the types of their answers',
    { timeout: 120_000 },
    async () => {
      expect(
        await compiled(`
        const { id, secret, breaker } = call('createTarget', { body: { name: 'bot', url: 'http://127.0.0.1:3000/hook' } });
        const texts: string[] = [id, secret, breaker.state];
        const page = call('listTargets', {});
        const cursor: string | null = page.next_cursor;
        const verdict: 'new' | 'late' | 'restored' | 'duplicate' | 'event' | undefined = call('listItems', {}).data[0]?.verdict;
        call('listDeliveries', { query: { status: 'dead' } });
        call('connectChannel', { path: { name: 'main' } });
        call('releaseItem', { path: { id: 'itm_1' } });
        call('runDoctor', {});
        const { status } = call('createResync', { body: { channel: 'main', message_ids: ['a'] } });
        const result = call('retryDeliveries', { body: { status: 'dead', dry_run: true } });
        const count: number = result.dry_run ? result.sample.length : result.total;
      `),
      ).toEqual([]);
    },
  );

  it('does not compile calls that lack what is required, or that have it wrong', { timeout: 120_000 }, async () => {
    const faults = await compiled(`
      call('createTarget', { body: { name: 'bot' } });
      call('createResync', { body: { channel: 'main' } });
      call('getTarget', {});
      call('listDeliveries', { query: { status: 'lost' } });
      call('updateTarget', { path: { id: 'tgt_1' } });
    `);
    expect(faults).toHaveLength(5);
    expect(faults[0]).toContain("Property 'url' is missing");
    expect(faults[1]).toContain("Property 'message_ids' is missing");
    expect(faults[2]).toContain("Property 'path' is missing");
  });
});
