import Fastify from 'fastify';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dashboardRoutes } from '../../src/http/dashboard.js';
import { readDashboard } from '../../src/http/dashboard-files.js';
import { errorHandler } from '../../src/http/problem.js';
import { temporaryFolder } from '../support/files.js';
import { startLocal } from '../support/gateway.js';

const PAGE = `<!doctype html><title>Gateway</title><script type="module" src="/assets/main-a1.js"></script>`;
const SCRIPT = `console.log('${'a'.repeat(500)}');`;

/** A server with the files of a small build. */
async function startDashboard(files: Record<string, string>): Promise<string> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'assets'));
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
  const app = Fastify();
  const silent = () => undefined;
  app.setErrorHandler(errorHandler({ error: silent, warn: silent, debug: silent }));
  await app.register(dashboardRoutes, { files: readDashboard(folder) });
  onTestFinished(async () => await app.close());
  return await app.listen({ port: 0, host: '127.0.0.1' });
}

describe('the dashboard', () => {
  it('is served from memory under a policy that takes nothing from outside', async () => {
    const url = await startDashboard({ 'page.html': PAGE, 'assets/main-a1.js': SCRIPT });
    const page = await fetch(url);
    expect([page.status, page.headers.get('content-type'), await page.text()]).toEqual([
      200,
      'text/html; charset=utf-8',
      PAGE,
    ]);
    expect(page.headers.get('cache-control')).toBe('no-store');
    const policy = page.headers.get('content-security-policy') ?? '';
    for (const part of ["default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"])
      expect(policy).toContain(part);
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|https:|upgrade-insecure-requests/);
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('compresses its files once, and lets browsers keep those with a hash in their name', async () => {
    const url = await startDashboard({ 'page.html': PAGE, 'assets/main-a1.js': SCRIPT });
    const script = await fetch(`${url}/assets/main-a1.js`);
    expect(script.headers.get('content-encoding')).toBe('gzip');
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(await script.text()).toBe(SCRIPT);
    const plain = await fetch(`${url}/assets/main-a1.js`, { headers: { 'accept-encoding': 'gzip;q=0' } });
    expect([plain.headers.get('content-encoding'), await plain.text()]).toEqual([null, SCRIPT]);
    const headers = { 'if-none-match': script.headers.get('etag') ?? '' };
    expect((await fetch(`${url}/assets/main-a1.js`, { headers })).status).toBe(304);
  });

  it.each(['/assets/none.js', '/assets/', '/assets/../page.html', '/assets/%2e%2e%2fpage.html', '/assets/x.map'])(
    'has no file at %s',
    async (path) => {
      const url = await startDashboard({ 'page.html': PAGE, 'assets/main-a1.js': SCRIPT, 'assets/x.map': '{}' });
      expect((await fetch(url + path)).status).toBe(404);
    },
  );

  it('that was not built says what to do', async () => {
    const url = await startDashboard({});
    const answer = await fetch(url);
    const { detail } = (await answer.json()) as { detail: string };
    expect([answer.status, detail]).toEqual([404, expect.stringContaining('npm run build')]);
    expect([...readDashboard(join(temporaryFolder(), 'none')).keys()]).toEqual([]);
  });

  it('needs no token in a gateway', async () => {
    const { url } = await startLocal();
    expect([200, 404]).toContain((await fetch(url)).status);
    expect((await fetch(`${url}/assets/none.js`)).status).toBe(404);
  });
});
