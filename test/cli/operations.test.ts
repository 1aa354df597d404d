import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { apiCallsOf, normal } from '../support/api-calls.js';

interface Document {
  readonly paths: Record<string, Record<string, { operationId: string; security?: Record<string, unknown>[] }>>;
}

const documented = JSON.parse(readFileSync('docs/openapi.json', 'utf8')) as Document;

/** Operations for people: those that the admin token or the dashboard's session opens. Whapi and probes make the others. */
const forPeople = Object.entries(documented.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([, { security = [{ admin: [] }] }]) => security.some((each) => 'admin' in each || 'session' in each))
    .filter(([, { security = [] }]) => !security.some((each) => 'metrics' in each))
    .map(([method, { operationId }]) => [operationId, `${method.toUpperCase()} ${normal(path)}`] as const),
);

const commandLine = apiCallsOf('cli', {
  '.call': { method: { argument: 0 }, path: 1 },
  '.list': { method: 'GET', path: 0 },
  '.stream': { method: 'GET', path: 0 },
});
const dashboard = apiCallsOf('dashboard', {
  get: { method: 'GET', path: 0 },
  post: { method: 'POST', path: 0 },
  patch: { method: 'PATCH', path: 0 },
  remove: { method: 'DELETE', path: 0 },
  EventSource: { method: 'GET', path: 0 },
});

describe("the API's operations", () => {
  it.each(forPeople)('%s (%s) is one that the command line or the dashboard calls', (_id, operation) => {
    expect([...commandLine.operations, ...dashboard.operations]).toContain(operation);
  });

  it('are the only ones that the command line and the dashboard call', () => {
    const all = Object.entries(documented.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${normal(path)}`),
    );
    const isKnown = (operation: string): boolean =>
      all.some((each) => new RegExp(`^${operation.replaceAll('{}', '[^/]+')}$`).test(each));
    const called = [...commandLine.operations, ...dashboard.operations];
    expect(called.filter((operation) => !isKnown(operation))).toEqual([]);
  });

  it('are found for every request in the source', () => {
    expect([commandLine.unknown, dashboard.unknown]).toEqual([[], []]);
    expect(forPeople.length).toBeGreaterThan(40);
  });
});
