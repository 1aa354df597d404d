import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

/**
 * The browser of the tests: Chromium from an npm package, so `npm ci && npm test` needs nothing else. `CHROMIUM_PATH` names
 * another one, for machines that the package is not made for.
 */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CACHE = join(ROOT, 'node_modules', '.cache');
const packageMain = createRequire(import.meta.url).resolve('@sparticuz/chromium');

const ownPath = (): string | undefined => process.env['CHROMIUM_PATH'];
const unpacked = join(CACHE, 'gateway-chromium');
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
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder;
  try {
    const { default: pack, inflate } = await import('@sparticuz/chromium');
    await pack.executablePath();
    await inflate(join(dirname(packageMain), '..', 'bin', 'al2023.tar.br')); // libnss3 and others that a machine may lack
    if (!existsSync(unpacked)) renameSync(folder, unpacked);
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Not with the package's own arguments: they switch web security off, and with it what the tests check. */
export async function launch(): Promise<Browser> {
  const libraries = ownPath() === undefined ? { LD_LIBRARY_PATH: join(unpacked, 'al2023', 'lib') } : {};
  return await chromium.launch({
    executablePath: binary(),
    args: ['--no-sandbox', '--disable-gpu', '--no-zygote'],
    env: { ...(process.env as Record<string, string>), ...libraries, LANG: 'en_US.UTF-8' },
  });
}
