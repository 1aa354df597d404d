import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../src/', import.meta.url));

interface SourceFile {
  /** Path under src without the extension: `http/ingress`. */
  readonly name: string;
  readonly text: string;
  /** The project's modules that it imports, by name. */
  readonly ours: readonly string[];
  /** Packages that it imports, including `node:` modules. */
  readonly packages: readonly string[];
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map(read);

function read(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const specifiers = ts.preProcessFile(text).importedFiles.map(({ fileName }) => fileName);
  const ours = specifiers.filter((specifier) => specifier.startsWith('.'));
  return {
    name: path.replace(/\.tsx?$/, ''),
    text,
    ours: ours.map((specifier) => relative(root, resolve(root, dirname(path), specifier)).replace(/\.js$/, '')),
    packages: specifiers.filter((specifier) => !specifier.startsWith('.')),
  };
}

/** Files that break a rule, with the imports that break it. */
function offences(
  applies: (file: SourceFile) => boolean,
  forbidden: (file: SourceFile) => readonly string[],
): string[] {
  return files.filter(applies).flatMap((file) => forbidden(file).map((name) => `${file.name} imports ${name}`));
}

const within = (folder: string) => (name: string) => name.startsWith(`${folder}/`);
const isPure = ({ name }: SourceFile): boolean =>
  within('intake')(name) ||
  within('store/rules')(name) ||
  name.endsWith('/policy') ||
  [
    ...[
      'backoff',
      'token-bucket',
      'durations',
      'json',
      'message-id',
      'printable',
      'quantities',
      'quoted',
      'secret-places',
      'slices',
      'connect/warnings',
      'contract/explained-words',
      'delivery/breaker',
      'delivery/slots',
      'delivery/target-queue',
      'networks',
      'target-networks',
      'trusted-proxies',
      'doctor/target-checks',
    ],
    ...['preview/judge-again', 'preview/outcomes', 'preview/recent', 'preview/replays-again', 'preview/side'],
    ...['probe/likeness', 'probe/findings', 'probe/report'],
    ...['resync/progress', 'whapi/callers', 'whapi/policy'],
  ].includes(name);

/** All imports of each file, including type imports. */
const allImportsOf = new Map(files.map(({ name, ours }) => [name, ours]));
/** The imports of each file that are more than types. */
const importsOf = new Map(files.map((file) => [file.name, valueImports(file)]));

/** Words for the dashboard and the command line. */
const WORDS = 'contract/explained-words';

describe('import rules:', () => {
  it('the model, errors and wire format import no other module of the project', () => {
    const isBase = ({ name }: SourceFile): boolean => ['model', 'errors', 'whapi/wire'].includes(name);
    expect(offences(isBase, ({ ours }) => ours)).toEqual([]);
  });

  it('the contract imports only the model, errors and typebox, and only http, the command line and the dashboard import it', () => {
    const allowed = /^(contract\/|model$|errors$|message-id$)/;
    expect(
      offences(
        ({ name }) => within('contract')(name),
        ({ ours }) => ours.filter((name) => !allowed.test(name)),
      ),
    ).toEqual([]);
    expect(
      offences(
        ({ name }) => within('contract')(name),
        ({ packages }) => packages.filter((name) => name !== 'typebox'),
      ),
    ).toEqual([]);
    const others = ({ name }: SourceFile): boolean =>
      !['contract', 'http', 'cli', 'dashboard'].some((folder) => within(folder)(name));
    expect(offences(others, ({ ours }) => ours.filter(within('contract')))).toEqual([]);
  });

  it('pure files import only the model, errors, types and each other', () => {
    const allowed = new Set(['model', 'errors', 'whapi/wire', ...files.filter(isPure).map(({ name }) => name)]);
    expect(offences(isPure, ({ name }) => (importsOf.get(name) ?? []).filter((other) => !allowed.has(other)))).toEqual(
      [],
    );
  });

  it('pure files use no clock, timer, environment, file or network', () => {
    const impure =
      /(?<!\.)\b(setTimeout|setInterval|setImmediate|process|fetch|performance)\b|Date\.now|new Date\(\)|Math\.random/;
    expect(files.filter((file) => isPure(file) && impure.test(file.text)).map(({ name }) => name)).toEqual([]);
    const allowed = new Set(['node:buffer', 'node:crypto', 'ipaddr.js']);
    expect(offences(isPure, ({ packages }) => packages.filter((other) => !allowed.has(other)))).toEqual([]);
  });

  it('the program imports the interfaces of the store, never an engine or code that engines share', () => {
    const isOutside = ({ name }: SourceFile): boolean => !within('store')(name);
    expect(
      offences(isOutside, ({ ours }) =>
        ours.filter((name) => /^store\/(migrate$|rules\/|sqlite\/|postgres\/)/.test(name)),
      ),
    ).toEqual([]);
    const isInside = ({ name }: SourceFile): boolean => within('store')(name) && name !== 'store/open';
    const engines = ({ name, ours }: SourceFile): string[] =>
      ours.filter((other) => /^store\/(sqlite|postgres)\//.test(other) && dirname(name) !== dirname(other));
    expect(offences(isInside, engines)).toEqual([]);
  });

  it('only the composition root imports the connector and the doctor', () => {
    const engines = ({ name }: SourceFile): string[] =>
      (importsOf.get(name) ?? []).filter((other) => /^(connect\/connector|doctor\/doctor)$/.test(other));
    expect(offences(({ name }) => name !== 'gateway', engines)).toEqual([]);
  });

  it('http, delivery, resync and audit import each other nowhere and meet in the composition root', () => {
    for (const [one, others] of [
      ['http', ['delivery', 'resync', 'audit', 'whapi']],
      ['delivery', ['http', 'resync', 'audit']],
      ['resync', ['http', 'delivery', 'audit']],
      ['audit', ['http', 'delivery', 'resync']],
      ['connect', ['http', 'delivery', 'resync', 'audit']],
      ['doctor', ['http', 'delivery', 'resync', 'audit']],
      ['probe', ['http', 'delivery', 'resync', 'audit']],
    ] as const) {
      const imports = ({ ours }: SourceFile): string[] =>
        ours.filter((name) => others.some((other) => within(other)(name)));
      expect(offences(({ name }) => within(one)(name), imports)).toEqual([]);
    }
  });

  it('the command line knows the gateway only by its API, settings, key files and shared words', () => {
    const known =
      /^(cli\/|contract\/explained-words$|errors$|effects$|config$|disk$|json$|key-file$|keyfiles$|message-id$|private-files$|printable$|program-name$|quantities$|quoted$|doctor\/policy$)/;
    const imports = ({ name }: SourceFile): string[] =>
      (importsOf.get(name) ?? []).filter((other) => !known.test(other));
    expect(offences(({ name }) => within('cli')(name), imports)).toEqual([]);
  });

  it('the dashboard takes only types of the contract and the model, and words; nothing imports it', () => {
    const isPage = ({ name }: SourceFile): boolean => within('dashboard')(name);
    const outside = ({ name, ours }: SourceFile): string[] =>
      ours.filter(
        (other) =>
          !within('dashboard')(other) &&
          other !== WORDS &&
          !(/^(contract\/|model$)/.test(other) && !(importsOf.get(name) ?? []).includes(other)),
      );
    expect(offences(isPage, outside)).toEqual([]);
    expect(
      offences(
        (file) => !isPage(file),
        ({ ours }) => ours.filter(within('dashboard')),
      ),
    ).toEqual([]);
  });

  it('the words that the dashboard shares bring no code with them', () => {
    expect(importsOf.get(WORDS)).toEqual([]);
  });

  it('the dashboard writes texts as texts: no HTML from strings, no evaluation', () => {
    const isPage = ({ name, text }: SourceFile): boolean =>
      within('dashboard')(name) &&
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function/i.test(text);
    expect(files.filter(isPage).map(({ name }) => name)).toEqual([]);
  });

  it('each external package has one owner', () => {
    const owners: Readonly<Record<string, (name: string) => boolean>> = {
      fastify: within('http'),
      'better-sqlite3': within('store/sqlite'),
      pg: within('store/postgres'),
      undici: (name) =>
        ['delivery/connections', 'http/whapi-upstream', 'whapi/client', 'simulator/webhooks'].includes(name),
      'prom-client': (name) => name === 'http/metrics',
      commander: within('cli'),
      preact: within('dashboard'),
      uplot: (name) => name === 'dashboard/chart',
      standardwebhooks: () => false, // hashes in JavaScript; the tests' reference for delivery/sign.ts
      'close-with-grace': (name) => name === 'main',
      pino: (name) => ['logger', 'gateway'].includes(name) || within('demo')(name) || name === 'demo',
    };
    for (const [thing, isOwner] of Object.entries(owners)) {
      const used = ({ packages }: SourceFile): string[] =>
        packages.filter((name) => name === thing || name === `@${thing}` || name.startsWith(`${thing}/`));
      expect(offences(({ name }) => !isOwner(name), used)).toEqual([]);
    }
  });

  it('only the command line, the dashboard and the demo use the built-in fetch', () => {
    const isOwner = (name: string): boolean => ['cli/api', 'dashboard/api'].includes(name) || within('demo')(name);
    expect(named(/(?<![.\w])fetch\(/).filter((name) => !isOwner(name))).toEqual([]);
  });

  it('only entry files end the process, and only the configuration reads the environment', () => {
    const entries = new Set(['main', 'demo', 'simulate', 'cli']);
    expect(named(/process\.exit\b/).filter((name) => !entries.has(name))).toEqual([]);
    const readers = new Set([...entries, 'program-name']); // npm's variables say how the program was called
    expect(named(/process\.env\b/).filter((name) => !readers.has(name) && !within('demo')(name))).toEqual([]);
  });

  it('no import cycles exist, type imports included', () => {
    expect(files.map(({ name }) => cycleFrom(name)).filter((cycle) => cycle !== null)).toEqual([]);
  });
});

describe('layout rules:', () => {
  it('there are no barrels, catch-all modules or default exports', () => {
    expect(
      files.map(({ name }) => name).filter((name) => /(^|\/)(index|utils?|helpers?|common|misc)$/.test(name)),
    ).toEqual([]);
    expect(named(/^export default/m)).toEqual([]);
  });

  it('no file is longer than its limit', () => {
    const limit = (name: string): number => (within('store/sqlite')(name) || within('simulator')(name) ? 450 : 300);
    const lines = ({ text }: SourceFile): number => text.split('\n').length;
    expect(files.filter((file) => lines(file) > limit(file.name)).map(({ name }) => name)).toEqual([]);
  });
});

function named(pattern: RegExp): string[] {
  return files.filter(({ text }) => pattern.test(text)).map(({ name }) => name);
}

/** The imports of a file that are more than types. */
function valueImports({ name, text }: SourceFile): string[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest);
  return source.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) return [];
    const specifier = statement.moduleSpecifier.text;
    if (statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword || !specifier.startsWith('.')) return [];
    return [relative(root, resolve(root, dirname(name), specifier)).replace(/\.js$/, '')];
  });
}

/** A cycle through `start` as a path, or null. */
function cycleFrom(start: string): string | null {
  const cameFrom = new Map<string, string>();
  const waiting = [start];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    for (const next of allImportsOf.get(name) ?? []) {
      if (next === start) return pathTo(name, cameFrom).join(' → ');
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, name);
      waiting.push(next);
    }
  }
  return null;
}

function pathTo(name: string, cameFrom: ReadonlyMap<string, string>): string[] {
  const before = cameFrom.get(name);
  return before === undefined ? [name] : [...pathTo(before, cameFrom), name];
}
