import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, missingBrowser } from '../support/dashboard/chromium.js';
import { openPage, tabTo } from '../support/dashboard/page.js';
import { ADMIN_TOKEN } from '../support/dashboard/servers.js';
import { eventually, startStage, WEBHOOK_SECRET } from '../support/dashboard/stage.js';
import type { Stage } from '../support/dashboard/stage.js';
import { message, messages } from '../support/dashboard/story.js';

const STORY_MS = 120_000;
const LOST = 'lost.BBBB.1';

let browser: Browser;
let stage: Stage;

describe.skipIf(missingBrowser() !== null)('the keyboard alone', () => {
  beforeAll(async () => {
    [browser, stage] = await Promise.all([launch(), startStage()]);
    stage.whapi.faults.resyncSendsWebhook = false;
    stage.whapi.store(message(LOST) as never, { cached: false });
  }, STORY_MS);

  afterAll(async () => {
    await Promise.all([browser.close(), stage.close()]);
  });

  it(
    'logs in, adds a channel and a target, starts a resync, watches it, explains the message and releases it',
    async () => {
      const { page, faults, close } = await openPage(browser, stage.gateway.url);
      await logInByKeys(page);
      await addChannel(page);
      await addTarget(page);
      await startResync(page);
      await stage.call('PATCH', '/v1/channels/shop', { webhook_secret: WEBHOOK_SECRET });
      await stage.webhook(messages(message(LOST)));
      await page.getByText('1 of 1 (100 %)').waitFor(); // the bar moves by itself
      await explainAndRelease(page);
      await eventually(async () => await Promise.resolve(stage.bots.good.bodies.some((body) => body.includes(LOST))));
      expect(faults).toEqual([]);
      await close();
    },
    STORY_MS,
  );

  it(
    'lists its keys, and rests where a person types or has switched it off',
    async () => {
      const { page, close } = await openPage(browser, stage.gateway.url);
      await logInByKeys(page);
      await page.keyboard.press('?');
      await page.getByRole('dialog', { name: 'Keys' }).waitFor();
      await tabTo(page, ' Single keys act'.trim());
      await page.keyboard.press('Space');
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      expect(await page.getByRole('dialog').count()).toBe(0);
      await close();
    },
    STORY_MS,
  );
});

async function logInByKeys(page: Page): Promise<void> {
  await tabTo(page, 'Admin token');
  await page.keyboard.type(ADMIN_TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
}

/** `g` and a letter go to a page, `n` starts its main action. */
async function openForm(page: Page, letter: string, heading: string): Promise<void> {
  await page.keyboard.press('g');
  await page.keyboard.press(letter);
  await page.getByRole('heading', { level: 1, name: heading }).waitFor();
  await page.keyboard.press('n');
  await page.getByRole('dialog').waitFor();
}

async function fill(page: Page, label: string, text: string): Promise<void> {
  await tabTo(page, label);
  await page.keyboard.press('Control+A');
  await page.keyboard.type(text);
}

async function addChannel(page: Page): Promise<void> {
  await openForm(page, 'c', 'Channels');
  await fill(page, 'Name', 'shop');
  await fill(page, 'Whapi token', stage.whapi.token);
  await tabTo(page, 'More settings');
  await page.keyboard.press('Enter');
  await fill(page, 'Base URL of Whapi', stage.whapi.url);
  await page.keyboard.press('Enter');
  await page.getByText('is shown only now').waitFor();
  await page.keyboard.press('Escape');
}

async function addTarget(page: Page): Promise<void> {
  await openForm(page, 't', 'Targets');
  await fill(page, 'Name', 'bot');
  await fill(page, 'URL', stage.bots.good.url);
  await page.keyboard.press('Enter');
  await page.getByText('is shown only now').waitFor();
  await page.keyboard.press('Escape');
}

async function startResync(page: Page): Promise<void> {
  await openForm(page, 'r', 'Resyncs');
  await fill(page, 'Message ids', `${LOST}\n${LOST}`);
  await page.getByText('1 ids, 1 duplicates left out').waitFor();
  await tabTo(page, 'Start for 1');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: /^Resync rsy_/ }).waitFor();
}

async function explainAndRelease(page: Page): Promise<void> {
  await page.getByRole('link', { name: LOST }).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: `Message ${LOST}` }).waitFor();
  await page.getByRole('button', { name: 'Release …' }).waitFor();
  await page.keyboard.press('n');
  await page.getByText('goes to bot').waitFor();
  await tabTo(page, 'Release');
  await page.keyboard.press('Enter');
  await page.getByText('1 delivery queued').waitFor();
}
