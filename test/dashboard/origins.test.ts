import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, missingBrowser } from '../support/dashboard/chromium.js';
import { logIn, openPage } from '../support/dashboard/page.js';
import { eventually, startStage } from '../support/dashboard/stage.js';
import type { Stage } from '../support/dashboard/stage.js';

const TEST_MS = 120_000;
const PRELUDE = { 'content-type': 'text/html' };

let browser: Browser;
let stage: Stage;
let stranger: Server;

describe.skipIf(missingBrowser() !== null)('a page of another place', () => {
  beforeAll(async () => {
    [browser, stage] = await Promise.all([launch(), startStage()]);
    stranger = createServer((_request, response) =>
      response.writeHead(200, PRELUDE).end('<!doctype html><title>stranger</title>'),
    );
    await new Promise<void>((listening) => stranger.listen(0, '127.0.0.1', listening));
  }, TEST_MS);

  afterAll(async () => {
    stranger.closeAllConnections();
    stranger.close();
    await Promise.all([browser.close(), stage.close()]);
  });

  it.each(['127.0.0.1', 'localhost'])(
    'cannot act with the session of a person who is logged in (another port of %s)',
    async (host) => {
      const { page, context, close } = await openPage(browser, stage.gateway.url);
      await logIn(page);
      const other = await context.newPage();
      await other.goto(`http://${host}:${(stranger.address() as AddressInfo).port}/`);
      const results = await other.evaluate<string[]>(attacks(stage.gateway.url));
      expect(results.filter((result) => /^2\d\d/.test(result))).toEqual([]);
      await other.evaluate(formPost(stage.gateway.url));
      await other.waitForURL(`${stage.gateway.url}/**`);
      expect(await other.locator('body').innerText()).toMatch(/GW_WRONG_ORIGIN|GW_UNAUTHORIZED|GW_BAD_REQUEST/);
      expect((await stage.call<{ data: unknown[] }>('GET', '/v1/channels')).data).toEqual([]);
      expect((await stage.call<{ data: unknown[] }>('GET', '/v1/targets')).data).toEqual([]);
      await close();
    },
    TEST_MS,
  );

  it(
    'cannot show the dashboard in a frame, and the page takes no code that is not its own',
    async () => {
      const { page, context, close } = await openPage(browser, stage.gateway.url);
      await logIn(page);
      const other = await context.newPage();
      await other.goto(`http://127.0.0.1:${(stranger.address() as AddressInfo).port}/`);
      await other.evaluate(
        `document.body.append(Object.assign(document.createElement('iframe'), { src: '${stage.gateway.url}/' }))`,
      );
      await eventually(async () => (await other.evaluate<number>('frames.length')) === 1);
      const framed = other.frames().find((frame) => frame !== other.mainFrame());
      expect(await framed?.locator('#app').count()).toBe(0);
      expect(await page.evaluate(`try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch { 'refused' }`)).toBe(
        'refused',
      );
      await close();
    },
    TEST_MS,
  );
});

/** What a script of the stranger tries; each result begins with the status that it could read. */
const attacks = (url: string): string => `(async () => {
  const tries = [
    ['POST', 'v1/channels', '{"name":"stolen","whapi_token":"x"}', 'application/json'],
    ['POST', 'v1/channels', '{"name":"stolen","whapi_token":"x"}', 'text/plain'],
    ['POST', 'v1/targets', '{"name":"stolen","url":"https://evil.example/"}', 'text/plain'],
    ['GET', 'v1/channels'],
    ['DELETE', 'session'],
  ];
  const results = [];
  for (const [method, path, body, type] of tries) {
    for (const mode of ['cors', 'no-cors']) {
      try {
        const options = { method, body, mode, credentials: 'include', ...(type && { headers: { 'content-type': type } }) };
        const answer = await fetch('${url}/' + path, options);
        results.push(answer.status + ' ' + path);
      } catch (error) {
        results.push('refused ' + path);
      }
    }
  }
  return results;
})()`;

/** A form needs no permission to post, and its body can look like JSON. */
const formPost = (url: string): string => `(() => {
  const form = Object.assign(document.createElement('form'), { method: 'POST', action: '${url}/v1/targets', enctype: 'text/plain' });
  form.append(Object.assign(document.createElement('input'), { name: '{"name":"stolen","url":"https://evil.example/","x":"', value: '"}' }));
  document.body.append(form);
  form.submit();
})()`;
