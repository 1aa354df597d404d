import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ADMIN_TOKEN } from './servers.js';
import { eventually } from './stage.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export interface Look {
  readonly scheme: 'dark' | 'light';
  readonly width: number;
}

/** A page in a context of its own, with everything that went wrong in it. */
export interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Console errors, exceptions, and requests to other places. */
  readonly faults: readonly string[];
  close(): Promise<void>;
}

export async function openPage(
  browser: Browser,
  url: string,
  { scheme, width }: Look = { scheme: 'light', width: 1280 },
): Promise<OpenPage> {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 }, locale: 'en-GB' });
  await context.addInitScript({ path: AXE });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (line) => {
    if (line.type() === 'error' && !isFirstQuestion(line.location().url, url))
      faults.push(`${page.url()}: ${line.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`${page.url()}: ${String(error)}`));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== url && !request.url().startsWith('data:'))
      faults.push(`request to ${request.url()}`);
  });
  await page.goto(`${url}/`);
  return { page, context, faults, close: async () => await context.close() };
}

/** Before the login, the page asks whether there is a session; the browser writes the 401 to its console. */
const isFirstQuestion = (address: string, url: string): boolean => address === `${url}/session`;

export async function logIn(page: Page): Promise<void> {
  await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
}

const IS_READY = `document.querySelector('main h1') !== null && !document.querySelector('main .loading, main [aria-busy=true]')`;

/** Goes to a page by its hash, and waits until everything has loaded. */
export async function visit(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(`#/${hash}`)}`);
  await eventually(async () => await page.evaluate<boolean>(IS_READY)); // waitForFunction needs 'unsafe-eval'
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** Violations of accessibility rules, each with the element that it is about. */
export async function violations(page: Page): Promise<string[]> {
  const options = JSON.stringify({ runOnly: WCAG, resultTypes: ['violations'] });
  const found = await page.evaluate<Violation[]>(`axe.run(document, ${options}).then((result) => result.violations)`);
  return found.flatMap(({ id, nodes }) =>
    nodes
      .slice(0, 3)
      .map(({ html, failureSummary = '' }) => `${id}: ${html.slice(0, 160)} ${failureSummary.slice(0, 300)}`),
  );
}

/** Pixels by which the page is wider than the window. */
export const overflow = async (page: Page): Promise<number> =>
  await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');

const FOCUSED = `(() => {
  const element = document.activeElement;
  return element?.labels?.[0]?.textContent ?? element?.getAttribute('aria-label') ?? element?.textContent ?? '';
})()`;

/** Presses Tab until the element with this name has the focus. */
export async function tabTo(page: Page, name: string): Promise<void> {
  await eventually(async () => {
    if ((await page.evaluate<string>(FOCUSED)).trim().startsWith(name)) return true;
    await page.keyboard.press('Tab');
    return false;
  });
}
