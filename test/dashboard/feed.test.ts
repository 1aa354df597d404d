import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, missingBrowser } from '../support/dashboard/chromium.js';
import { logIn, openPage, visit } from '../support/dashboard/page.js';
import type { OpenPage } from '../support/dashboard/page.js';
import { eventually, startStage, WEBHOOK_SECRET } from '../support/dashboard/stage.js';
import type { Stage } from '../support/dashboard/stage.js';
import { message, messages } from '../support/dashboard/story.js';

const TEST_MS = 120_000;

let browser: Browser;
let stage: Stage;

describe.skipIf(missingBrowser() !== null)('the live page', () => {
  beforeAll(async () => {
    [browser, stage] = await Promise.all([launch(), startStage()]);
    const { whapi } = stage;
    const channel = { whapi_token: whapi.token, whapi_base_url: whapi.url, webhook_secret: WEBHOOK_SECRET };
    await stage.call('POST', '/v1/channels', { name: 'shop', ...channel });
  }, TEST_MS);

  afterAll(async () => {
    await Promise.all([browser.close(), stage.close()]);
  });

  it(
    'shows a webhook the moment it is stored, and after a restart of the gateway goes on, with nothing twice',
    async () => {
      const open = await openLive();
      await send('one', 3);
      await rowsAre(open, 3);
      await stage.gateway.restart();
      await send('two', 2);
      await open.page.locator('[data-feed=live]').waitFor();
      await rowsAre(open, 5);
      await send('three', 1);
      await rowsAre(open, 6);
      expect(new Set(await links(open)).size).toBe(6);
      await open.close();
    },
    TEST_MS,
  );

  it(
    'keeps still while it is paused or the mouse is over it, and says how many are new',
    async () => {
      const open = await openLive();
      const before = (await links(open)).length;
      await open.page.getByRole('button', { name: 'Pause' }).click();
      await send('paused', 4);
      await open.page.getByRole('button', { name: '4 new' }).waitFor();
      expect(await links(open)).toHaveLength(before);
      await open.page.getByRole('button', { name: 'Resume' }).click();
      await rowsAre(open, before + 4);
      await open.page.locator('.live-rows').hover();
      await send('hovered', 1);
      await open.page.getByRole('button', { name: '1 new' }).click();
      await rowsAre(open, before + 5);
      await open.close();
    },
    TEST_MS,
  );

  it(
    'has at most 200 rows in the document, however many come',
    async () => {
      const open = await openLive();
      // The feed leaves out what exceeds 50 rows a second.
      for (let batch = 0; (await links(open)).length < 200; batch += 1) await send(`many.${batch}`, 20);
      const [newest] = await links(open);
      for (let batch = 0; (await links(open))[0] === newest; batch += 1) await send(`more.${batch}`, 20);
      expect(await links(open)).toHaveLength(200);
      expect(open.faults).toEqual([]);
      await open.close();
    },
    TEST_MS,
  );
});

async function openLive(): Promise<OpenPage> {
  const open = await openPage(browser, stage.gateway.url);
  await logIn(open.page);
  await visit(open.page, 'live');
  await open.page.locator('[data-feed=live]').waitFor();
  return open;
}

/** Sends webhooks with one message each. */
async function send(name: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await stage.webhook(messages(message(`${name}.CCCC.${index}`)));
}

const ROWS = `[...document.querySelectorAll('.live-rows tbody tr a[href^="#/webhooks/"]')].map((link) => link.title)`;
const links = async ({ page }: OpenPage): Promise<string[]> => await page.evaluate<string[]>(ROWS);

const rowsAre = async (open: OpenPage, count: number): Promise<unknown> =>
  await eventually(async () => (await links(open)).length === count);
