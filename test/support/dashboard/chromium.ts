import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

/**
 * The browser of the tests: Chromium from an npm package, so `npm ci && npm test` needs nothing else. `CHROMIUM_PATH` names
 * another one, for machines that the package is not made for. 147.0.0 is the last version for Node 20.
 */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CACHE = join(ROOT, 'node_modules', '.cache');
const PACKAGE = join(ROOT, 'node_modules', '@sparticuz', 'chromium');

const ownPath = (): string | undefined => process.env['CHROMIUM_PATH'];
const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { version: string };
const unpacked = join(CACHE, `gateway-chromium-${version}`);
const binary = (): string => ownPath() ?? join(unpacked, 'chromium');

/** Why browser tests cannot run on this machine; null: they can. In CI they must. */
export function missingBrowser(): string | null {
  if (ownPath() !== undefined || (process.platform === 'linux' && process.arch === 'x64')) return null;
  if (process.env['CI'] !== undefined) return null;
  return `No Chromium for ${process.platform} ${process.arch}: set CHROMIUM_PATH to run the browser tests.`;
}

/**
 * vitest's globalSetup: unpacks the browser once. The package unpacks to TMPDIR and takes whatever file is there, so it
 * gets a folder of its own, which is renamed only when it is complete: two runs, or one that was killed, do no harm.
 */
export async function setup(): Promise<void> {
  const reason = missingBrowser();
  if (reason !== null) process.stderr.write(`${reason}\n`);
  if (reason !== null || ownPath() !== undefined || existsSync(unpacked)) return;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'chromium-'));
  try {
    const { default: pack } = await import('@sparticuz/chromium');
    // With libnss3 and others that a machine may lack: the package unpacks them where it sees AWS Lambda.
    await withEnvironment({ TMPDIR: folder, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' }, async () => {
      await pack.executablePath();
    });
    if (!existsSync(unpacked)) renameSync(folder, unpacked);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withEnvironment(variables: Record<string, string>, work: () => Promise<void>): Promise<void> {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    await work();
  } finally {
    process.env = before;
  }
}

/** Not with the package's own arguments: they switch web security off, and with it what the tests check. */
export async function launch({ locale = 'en_US.UTF-8' } = {}): Promise<Browser> {
  const libraries = ownPath() === undefined ? { LD_LIBRARY_PATH: join(unpacked, 'al2023', 'lib') } : {};
  return await chromium.launch({
    executablePath: binary(),
    args: ['--no-sandbox', '--disable-gpu', '--no-zygote'],
    env: { ...(process.env as Record<string, string>), ...libraries, LANG: locale, LC_ALL: locale },
  });
}
