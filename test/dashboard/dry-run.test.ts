import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, missingBrowser } from '../support/dashboard/chromium.js';
import { logIn, openPage, violations, visit } from '../support/dashboard/page.js';
import { startStage } from '../support/dashboard/stage.js';
import type { Stage } from '../support/dashboard/stage.js';
import { message, messages, tellStory } from '../support/dashboard/story.js';
import type { Story } from '../support/dashboard/story.js';

const TEST_MS = 120_000;

let browser: Browser;
let stage: Stage;
let story: Story;

describe.skipIf(missingBrowser() !== null)('verdicts and what follows from them', () => {
  beforeAll(async () => {
    [browser, stage] = await Promise.all([launch(), startStage()]);
    story = await tellStory(stage);
  }, TEST_MS);

  afterAll(async () => {
    await Promise.all([browser.close(), stage.close()]);
  });

  it(
    'a dry run of a pasted body shows each verdict and each route, and records nothing',
    async () => {
      const { page, faults, close } = await openPage(browser, stage.gateway.url);
      await logIn(page);
      await visit(page, 'dry-run');
      const before = await stage.call('GET', '/v1/items?limit=1');
      await page.getByLabel('Body').fill(JSON.stringify(messages(message('never.seen'), message('live.AAAA.1'))));
      await page.getByRole('button', { name: 'Judge' }).click();
      await page.getByRole('heading', { name: 'Verdicts of messages.post' }).waitFor();
      const verdicts = page.getByRole('table', { name: 'Verdicts' });
      expect(await verdicts.getByText('rule 10').count()).toBe(1);
      expect(await verdicts.getByText('rule 8').count()).toBe(1);
      expect(await page.getByRole('table', { name: 'Routes' }).getByRole('row').count()).toBe(4); // three targets and the head
      expect(await violations(page)).toEqual([]);
      expect(await stage.call('GET', '/v1/items?limit=1')).toEqual(before);
      expect(faults).toEqual([]);
      await close();
    },
    TEST_MS,
  );

  it(
    'a dry run of a stored webhook shows what another setting would change',
    async () => {
      const { page, close } = await openPage(browser, stage.gateway.url);
      await logIn(page);
      await visit(page, `dry-run?webhook=${story.cutWebhook}`);
      await page.getByText('Try other settings').click();
      await page.getByRole('group', { name: 'bot', exact: true }).getByLabel('restored').check();
      await page.getByRole('button', { name: 'Judge' }).click();
      const bot = page.getByRole('table', { name: 'Routes' }).getByRole('row', { name: /^bot/ });
      await bot.getByText('items 0, 1, 2, 3').waitFor();
      await close();
    },
    TEST_MS,
  );

  it(
    'the webhook shows which items were cut for a target, and the bytes before and after',
    async () => {
      const { page, close } = await openPage(browser, stage.gateway.url);
      await logIn(page);
      await visit(page, `webhooks/${story.cutWebhook}`);
      await page.getByRole('button', { name: 'bot', exact: true }).click();
      await page.getByText('1 of 4 items sent, 3 cut').waitFor();
      expect(await page.getByText('not sent to this target').count()).toBe(3);
      await page.getByRole('button', { name: 'archive' }).click();
      await page.getByText('4 of 4 items sent').waitFor();
      await close();
    },
    TEST_MS,
  );

  it(
    'a release of everything that matches shows count, targets and sample, and then its progress',
    async () => {
      const { page, faults, close } = await openPage(browser, stage.gateway.url);
      await logIn(page);
      await visit(page, 'held?verdict=restored');
      await page.getByRole('button', { name: 'Release all that match …' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('The first 3').waitFor();
      expect(await dialog.getByText(/already/).count()).toBeGreaterThan(0); // the archive has them
      expect(await violations(page)).toEqual([]);
      await dialog.getByRole('button', { name: 'Release 3' }).click();
      await dialog.locator('[data-job=finished]').waitFor();
      await dialog.getByRole('button', { name: 'Close' }).last().click();
      await page.getByText('No item matches these filters.').waitFor();
      expect(faults).toEqual([]);
      await close();
    },
    TEST_MS,
  );
});
