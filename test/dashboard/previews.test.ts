import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelChangeSchema } from '../../src/contract/channels.js';
import { TargetChangeSchema } from '../../src/contract/targets.js';
import { launch, missingBrowser } from '../support/dashboard/chromium.js';
import { logIn, openPage, overflow, violations, visit } from '../support/dashboard/page.js';
import type { Look } from '../support/dashboard/page.js';
import { startStage, WEBHOOK_SECRET } from '../support/dashboard/stage.js';
import type { Stage } from '../support/dashboard/stage.js';
import { textMessage } from '../support/texts.js';

const TEST_MS = 120_000;
const LOST = Array.from({ length: 8 }, (_, index) => `lost-${index}`);

let browser: Browser;
let stage: Stage;
/** Id of the target. */
let bot: string;

/** A bot that received one message, while eight are held because a resync brought them back. */
async function withHeld(): Promise<void> {
  const { call, whapi, webhook, bots } = stage;
  const channel = { whapi_token: whapi.token, whapi_base_url: whapi.url, webhook_secret: WEBHOOK_SECRET };
  await call('POST', '/v1/channels', { name: 'shop', ...channel, resync_spacing_ms: 0 });
  const target = { name: 'bot', url: bots.good.url, headers: { 'x-token': 'a secret value', 'x-tenant': 'six' } };
  bot = (await call<{ id: string }>('POST', '/v1/targets', target)).id;
  await call('POST', '/v1/resyncs', { channel: 'shop', message_ids: LOST });
  await webhook({ messages: [...LOST, 'fresh'].map((id) => textMessage({ id })) });
}

/** The dialog that edits the bot or the channel, and the bodies of requests that it makes. */
async function openEdit(address: string, look?: Look) {
  const opened = await openPage(browser, stage.gateway.url, look);
  const { page } = opened;
  await logIn(page);
  await visit(page, address);
  await page.getByRole('button', { name: 'Edit' }).click();
  const requests: { method: string; body: Record<string, unknown> }[] = [];
  page.on('request', (request) => {
    if (request.method() !== 'GET') requests.push({ method: request.method(), body: bodyOf(request.postData()) });
  });
  return { ...opened, dialog: page.getByRole('dialog'), requests };
}

const bodyOf = (text: string | null): Record<string, unknown> =>
  text === null ? {} : (JSON.parse(text) as Record<string, unknown>);
const preview = async (dialog: Locator): Promise<void> => await dialog.getByRole('button', { name: 'Preview' }).click();
const save = async (dialog: Locator): Promise<void> => await dialog.getByRole('button', { name: 'Save' }).click();
/** The words of each row, without the heads. */
const cellsOf = async (table: Locator): Promise<string[][]> =>
  await Promise.all(
    (await table.getByRole('row').all()).slice(1).map(async (row) => await row.getByRole('cell').allInnerTexts()),
  );
const openMore = async (page: Page): Promise<void> => {
  for (const summary of await page.locator('dialog summary').all()) await summary.click();
};

const fieldsOf = ({ properties }: { readonly properties: object }, apart: readonly string[]): string[] =>
  [...Object.keys(properties).filter((name) => !apart.includes(name)), 'preview_period'].sort();

describe.skipIf(missingBrowser() !== null)('the forms of stored settings', () => {
  beforeAll(async () => {
    [browser, stage] = await Promise.all([launch(), startStage()]);
    await withHeld();
  }, TEST_MS);

  afterAll(async () => {
    await Promise.all([browser.close(), stage.close()]);
  });

  it(
    'have every setting of the API, apart from what has a button of its own or stays out of the browser',
    async () => {
      for (const [address, expected] of [
        [`targets/${bot}`, fieldsOf(TargetChangeSchema, ['enabled', 'secret'])],
        ['channels/shop', fieldsOf(ChannelChangeSchema, ['channel_id', 'webhook_secret'])],
      ] as const) {
        const { dialog, close } = await openEdit(address);
        await dialog.locator('form [name]').first().waitFor();
        const fields = await dialog.locator('form [name]').all();
        const names = await Promise.all(fields.map(async (field) => await field.getAttribute('name')));
        expect([...new Set(names)].sort()).toEqual(expected);
        await close();
      }
    },
    TEST_MS,
  );

  it(
    'preview which held messages a target would be sent, and save nothing',
    async () => {
      const { dialog, page, context, faults, close } = await openEdit(`targets/${bot}`);
      await dialog.getByLabel('restored').check();
      await preview(dialog);
      const counts = dialog.getByRole('table', { name: 'Items for bot' });
      await counts.waitFor();
      expect(await cellsOf(counts)).toEqual([
        ['sent', '1', '9'],
        ['held', '8', '0'],
      ]);
      const difference = dialog.getByRole('table', { name: 'held → sent, bot' });
      expect(await cellsOf(difference)).toHaveLength(5);
      await dialog.getByRole('button', { name: 'Show 8' }).click();
      expect((await cellsOf(difference)).map(([, message]) => message)).toEqual(LOST);
      const [tab] = await Promise.all([
        context.waitForEvent('page'),
        difference.getByRole('link', { name: 'lost-0', exact: true }).click(),
      ]);
      await tab.getByRole('heading', { level: 1, name: 'Message lost-0' }).waitFor();
      expect(await violations(page)).toEqual([]);
      const { deliver } = await stage.call('GET', `/v1/targets/${bot}`);
      expect([deliver, faults]).toEqual([['new', 'late', 'event'], []]);
      await close();
    },
    TEST_MS,
  );

  it(
    'send a preview the changed fields and the chosen period',
    async () => {
      const { dialog, requests, close } = await openEdit(`targets/${bot}`);
      await openMore(dialog.page());
      await dialog.getByLabel('Backlog', { exact: true }).selectOption('hold');
      await dialog.getByLabel('Webhooks of').selectOption('all time');
      await preview(dialog);
      await dialog.getByText('with 1 recorded webhook. Nothing was changed.').waitFor();
      const changes = { backlog_policy: 'hold' };
      expect(requests).toEqual([{ method: 'POST', body: { changes, since: '1970-01-01T00:00:00.000Z' } }]);
      await dialog.getByText('The change makes no difference.').waitFor({ state: 'detached' });
      await dialog.getByLabel('Backlog', { exact: true }).selectOption('all');
      await dialog.getByText('The fields have changed since this preview.').waitFor();
      await preview(dialog);
      await dialog.getByText('No setting has changed').waitFor();
      expect(requests).toHaveLength(1);
      await close();
    },
    TEST_MS,
  );

  it(
    'show an error of a preview in the form',
    async () => {
      const { dialog, close } = await openEdit(`targets/${bot}`);
      await openMore(dialog.page());
      await dialog.getByLabel('Retry delays, seconds').fill('5 soon');
      await preview(dialog);
      await dialog.getByRole('alert').getByText('retry_delays_seconds').first().waitFor();
      await dialog.getByLabel('Retry delays, seconds').fill('5');
      await dialog.getByLabel('Headers').fill('x-tenant: six\nno colon');
      await preview(dialog);
      await dialog.getByRole('alert').getByText('Invalid header in line 2').waitFor();
      await close();
    },
    TEST_MS,
  );

  it(
    'save only the changed settings of a target, and show them',
    async () => {
      const { dialog, page, requests, close } = await openEdit(`targets/${bot}`);
      await openMore(page);
      await dialog.getByLabel('Backlog', { exact: true }).selectOption('newest_per_chat');
      await dialog.getByLabel('Backlog per minute').fill('30');
      await dialog.getByLabel('Skip messages').check();
      await dialog.getByLabel('Retry delays, seconds').fill('5, 60');
      await save(dialog);
      await dialog.waitFor({ state: 'detached' });
      const backlog = { backlog_policy: 'newest_per_chat', backlog_rate_per_minute: 30, skip_answered: true };
      expect(requests).toEqual([{ method: 'PATCH', body: { ...backlog, retry_delays_seconds: [5, 60] } }]);
      for (const text of ['newest per chat, from 600 s, 30 per minute', '5 s, 60 s', 'x-token: ***, x-tenant: six'])
        await page.getByText(text).waitFor();
      await visit(page, 'targets');
      await page.getByText('backlog: newest per chat · answered: skipped').waitFor();
      await close();
    },
    TEST_MS,
  );

  it(
    'save headers, and nothing where nothing has changed',
    async () => {
      const { dialog, page, requests, close } = await openEdit(`targets/${bot}`);
      await openMore(page);
      await dialog.getByLabel('Headers').fill('x-tenant: seven\nx-token: another secret');
      await save(dialog);
      await dialog.waitFor({ state: 'detached' });
      await page.getByText('x-tenant: seven, x-token: ***').waitFor();
      await page.getByRole('button', { name: 'Edit' }).click();
      await save(dialog);
      await page.getByText('Nothing changed.').waitFor();
      expect(requests).toHaveLength(1);
      await close();
    },
    TEST_MS,
  );

  it.each<Look>([
    { scheme: 'light', width: 390 },
    { scheme: 'dark', width: 1280 },
  ])(
    'preview and save the settings of a channel ($scheme, $width px)',
    async (look) => {
      const { dialog, page, requests, faults, close } = await openEdit('channels/shop', look);
      await openMore(page);
      await dialog.getByLabel('Late after').fill(String(look.width));
      await dialog.getByLabel('Unrequested old messages').selectOption('hold');
      await preview(dialog);
      await dialog.getByText('The change makes no difference.').waitFor();
      await dialog.getByText('It does not look for replays.').waitFor();
      expect([await overflow(page), await violations(page)]).toEqual([0, []]);
      await save(dialog);
      await page.getByText('hold them: 20 or more messages a minute').waitFor();
      expect(requests.map(({ method }) => method)).toEqual(['POST', 'PATCH']);
      await visit(page, 'channels');
      expect(await page.getByRole('table', { name: 'Channels' }).getByText('held').count()).toBe(1);
      await stage.call('PATCH', '/v1/channels/shop', { on_replay: 'deliver' });
      expect(faults).toEqual([]);
      await close();
    },
    TEST_MS,
  );
});
