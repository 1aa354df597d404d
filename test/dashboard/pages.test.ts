import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, missingBrowser } from '../support/dashboard/chromium.js';
import { logIn, openPage, overflow, violations, visit } from '../support/dashboard/page.js';
import type { Look } from '../support/dashboard/page.js';
import { startStage } from '../support/dashboard/stage.js';
import type { Stage } from '../support/dashboard/stage.js';
import { tellStory } from '../support/dashboard/story.js';
import type { Story } from '../support/dashboard/story.js';

const LOOKS: readonly Look[] = [
  { scheme: 'light', width: 1280 },
  { scheme: 'dark', width: 1280 },
  { scheme: 'light', width: 390 },
  { scheme: 'dark', width: 390 },
];
const START_MS = 120_000;
const WALK_MS = 180_000;

let browser: Browser;
let full: Stage;
let empty: Stage;
let story: Story;

describe.skipIf(missingBrowser() !== null)('each page of the dashboard', () => {
  beforeAll(async () => {
    [browser, full, empty] = await Promise.all([launch(), startStage(), startStage()]);
    story = await tellStory(full);
  }, START_MS);

  afterAll(async () => {
    await Promise.all([browser.close(), full.close(), empty.close()]);
  });

  it.each(LOOKS)(
    'is accessible and fits, makes no error and no request to another place ($scheme, $width px)',
    async (look) => {
      const { page, faults, close } = await openPage(browser, full.gateway.url, look);
      await logIn(page);
      const found: Record<string, readonly string[]> = {};
      for (const address of addresses(story)) {
        await visit(page, address);
        const wide = await overflow(page);
        const wrong = [...(await violations(page)), ...(wide > 0 ? [`${wide} px too wide`] : [])];
        if (wrong.length > 0) found[address] = wrong;
      }
      expect(found).toEqual({});
      expect(faults).toEqual([]);
      await close();
    },
    WALK_MS,
  );

  it(
    'shows what WhatsApp users, bots and Whapi wrote as text: none of it runs',
    async () => {
      const { page, close } = await openPage(browser, full.gateway.url);
      await logIn(page);
      const shown: string[] = [];
      for (const address of addresses(story)) {
        await visit(page, address);
        if (await page.getByText('<img src=x onerror=').first().isVisible()) shown.push(address.split('/')[0] ?? '');
        expect(await page.locator('main img, main script').count()).toBe(0);
      }
      expect(await page.evaluate(`'ran' in window`)).toBe(false);
      // Names of targets, ids of messages, bodies, answers of bots, and the channel's id are hostile in this story.
      expect([...new Set(shown)]).toEqual(
        expect.arrayContaining(['overview', 'explain', 'targets', 'deliveries', 'channels', 'webhooks']),
      );
      await close();
    },
    WALK_MS,
  );

  it(
    'shows the overview in a browser whose language is not valid, without the lines of its charts',
    async () => {
      const other = await launch({ locale: 'C' });
      const page = await other.newPage();
      await page.goto(full.gateway.url);
      expect(await page.evaluate('navigator.language')).toBe('en-US@posix');
      await logIn(page);
      await page
        .getByText(/now .*, min .*, max/)
        .first()
        .waitFor();
      await other.close();
    },
    WALK_MS,
  );

  it(
    'says what to do next while there is nothing to show',
    async () => {
      const { page, faults, close } = await openPage(browser, empty.gateway.url);
      await logIn(page);
      await page.getByRole('link', { name: 'Add a channel' }).waitFor();
      for (const address of ['live', 'held', 'resyncs', 'targets', 'deliveries', 'channels', 'audits', 'dry-run']) {
        await visit(page, address);
        await page
          .getByText(/no (channel|target)|There is no/i)
          .first()
          .waitFor();
        expect([address, await violations(page)]).toEqual([address, []]);
      }
      expect(faults).toEqual([]);
      await close();
    },
    WALK_MS,
  );
});

/** Each page, and each page of one thing. */
function addresses({ heldMessage, resync, targets, deadDelivery, audit, cutWebhook }: Story): string[] {
  return [
    ...[
      'overview',
      'live',
      'explain',
      'held',
      'held?held=any',
      'resyncs',
      'targets',
      'deliveries',
      'channels',
      'audits',
    ],
    ...['dry-run', `explain/shop/${heldMessage}`, `resyncs/${resync}`, `targets/${targets.crm}`],
    ...[`deliveries/${deadDelivery}`, 'channels/shop', `audits/${audit}`, `webhooks/${cutWebhook}`],
  ];
}
