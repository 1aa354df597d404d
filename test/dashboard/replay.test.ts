import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, missingBrowser } from '../support/dashboard/chromium.js';
import { logIn, openPage, violations, visit } from '../support/dashboard/page.js';
import { startStage, WEBHOOK_SECRET } from '../support/dashboard/stage.js';
import type { Stage } from '../support/dashboard/stage.js';
import { LONG_AGO, textMessage } from '../support/texts.js';

const START_MS = 120_000;
const WALK_MS = 180_000;

let browser: Browser;
let stage: Stage;

describe.skipIf(missingBrowser() !== null)('an unrequested replay', () => {
  beforeAll(async () => {
    [browser, stage] = await Promise.all([launch(), startStage()]);
    const { whapi } = stage;
    const channel = { whapi_token: whapi.token, whapi_base_url: whapi.url, webhook_secret: WEBHOOK_SECRET };
    await stage.call('POST', '/v1/channels', { name: 'shop', ...channel, on_replay: 'hold', replay_messages: 5 });
    const messages = Array.from({ length: 12 }, (_, index) =>
      textMessage({ id: `old-${index}`, at: LONG_AGO + index }),
    );
    await stage.call('POST', '/v1/targets', { name: 'bot', url: stage.bots.good.url });
    await stage.webhook({ messages });
  }, START_MS);

  afterAll(async () => {
    await Promise.all([browser.close(), stage.close()]);
  });

  it(
    'is an alert on the overview and on the page of its channel, with a link to what is held',
    async () => {
      const { page, faults, close } = await openPage(browser, stage.gateway.url);
      await logIn(page);
      for (const address of ['overview', 'channels/shop']) {
        await visit(page, address);
        await page.getByText('12 unrequested old messages arrived').waitFor();
        expect([address, await violations(page)]).toEqual([address, []]);
      }
      await page.getByRole('link', { name: '8 of them are held.' }).click();
      await page.getByText('old-11').first().waitFor();
      expect(faults).toEqual([]);
      await close();
    },
    WALK_MS,
  );
});
