import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { launch } from '../support/dashboard/chromium.js';
import { logIn, openPage, visit } from '../support/dashboard/page.js';
import { startStage } from '../support/dashboard/stage.js';
import { message, messages, tellStory } from '../support/dashboard/story.js';
import type { Story } from '../support/dashboard/story.js';

/** `npm run screenshots` takes the pictures of the README. Without it, the test only checks that they are there. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MOST_BYTES = 150_000;
const SHOOT_MS = 180_000;
const PICTURES: Readonly<Record<string, readonly [scheme: 'dark' | 'light', address: (story: Story) => string]>> = {
  overview: ['light', () => 'overview'],
  live: ['dark', () => 'live'],
  explain: ['light', ({ heldMessage }) => `explain/shop/${heldMessage}`],
  resync: ['dark', ({ resync }) => `resyncs/${resync}`],
};

describe('the pictures of the dashboard', () => {
  const take = process.env['UPDATE_SCREENSHOTS'] === undefined ? null : it;
  take?.(
    'are taken',
    async () => {
      const [browser, stage] = await Promise.all([launch(), startStage('')]);
      const story = await tellStory(stage, '');
      for (let index = 0; index < 40; index++) await stage.webhook(messages(message(`more.AAAA.${index}`, {}, '')));
      for (const [name, [scheme, address]] of Object.entries(PICTURES)) {
        const { page, close } = await openPage(browser, stage.gateway.url, { scheme, width: 1280 });
        await page.setViewportSize({ width: 1280, height: 720 });
        await logIn(page);
        await visit(page, address(story));
        await page.screenshot({ path: `${ROOT}docs/dashboard-${name}.png`, animations: 'disabled' });
        await close();
      }
      await Promise.all([browser.close(), stage.close()]);
    },
    SHOOT_MS,
  );

  it('are in the README, and small', () => {
    const readme = readFileSync(`${ROOT}README.md`, 'utf8');
    for (const name of Object.keys(PICTURES)) {
      expect(readme).toContain(`docs/dashboard-${name}.png`);
      expect(statSync(`${ROOT}docs/dashboard-${name}.png`).size).toBeLessThan(MOST_BYTES);
    }
  });
});
