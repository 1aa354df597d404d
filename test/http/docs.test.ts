import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { startLocal } from '../support/gateway.js';

describe('GET /docs', () => {
  it('is a page that loads its scripts, styles and document from the gateway alone', async () => {
    const { url } = await startLocal();
    const page = await fetch(`${url}/docs`);
    const html = await page.text();
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const places = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, place = '']) => place);
    expect(places.length).toBeGreaterThan(4);
    for (const place of [...places, '/docs/json']) {
      expect(place).toMatch(/^\/docs\//);
      expect([place, (await fetch(url + place)).status]).toEqual([place, 200]);
    }
    const document = (await (await fetch(`${url}/docs/json`)).json()) as Record<string, unknown>;
    expect(document).toEqual(await (await fetch(`${url}/openapi.json`)).json());
  });

  it('is under a policy without inline scripts, other hosts or an upgrade to https', async () => {
    const { url } = await startLocal();
    for (const path of ['/docs', '/docs/static/swagger-ui-bundle.js']) {
      const { headers } = await fetch(url + path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).not.toMatch(/unsafe|https?:|upgrade-insecure-requests|swagger\.io/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
    expect((await fetch(`${url}/healthz`)).headers.get('content-security-policy')).toBeNull();
  });

  it('tries operations out without the cookie of the dashboard', async () => {
    const { url } = await startLocal();
    const script = await (await fetch(`${url}/docs/static/swagger-initializer.js`)).text();
    const text = /"requestInterceptor":([^]*?return request;\s*\})/.exec(script)?.[1] ?? '';
    const intercepted: unknown = runInNewContext(`(${text})({ url: '/v1/targets' })`);
    expect(intercepted).toEqual({ url: '/v1/targets', credentials: 'omit' });
    expect(script).toContain('validatorUrl: null');
  });
});
