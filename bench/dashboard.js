import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { load, median } from './load.js';
import { alternating } from './rounds.js';
import { startGateway } from './servers.js';

/**
 * Frames of the dashboard's Live page while 1,000 webhooks a minute arrive, compared with the same page while none does. A
 * frame is lost for every 1/60 s that the next one is late. The browser is that of the tests (run one of `test/dashboard` first,
 * which unpacks it), or CHROMIUM_PATH.
 */
const ROUNDS = 5;
const SECONDS = 12;
const PER_MINUTE = 1000;
const FRAME_MS = 1000 / 60;

const gateway = await startGateway();
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
await page.goto(gateway.url);
await page.getByLabel('Admin token').fill(readFileSync(join(gateway.folder, 'admin-token'), 'utf8').trim());
await page.keyboard.press('Enter');
await page.getByRole('link', { name: 'Live', exact: true }).click();
await load(gateway.url, { seconds: 15, connections: 4, rate: PER_MINUTE / 60 }); // fills the list
await page.getByRole('table').waitFor();

const rounds = await alternating(['busy', 'quiet'], ROUNDS, async (side) => {
  const sending = side === 'busy' && load(gateway.url, { seconds: SECONDS, connections: 4, rate: PER_MINUTE / 60 });
  const gaps = await page.evaluate(framesFor, SECONDS * 1000);
  await sending;
  const lost = gaps.reduce((sum, gap) => sum + Math.max(0, Math.round(gap / FRAME_MS) - 1), 0);
  return {
    lostShare: lost / (gaps.length + lost),
    longestMs: Math.max(...gaps),
    rows: await page.locator('tr').count(),
  };
});
await browser.close();
await gateway.stop();

const of = (side, part) => median(rounds.map((round) => round[side][part]));
const sides = (part, digits) =>
  Object.fromEntries(['busy', 'quiet'].map((side) => [side, Number(of(side, part).toFixed(digits))]));
console.log(
  JSON.stringify({
    bench: `Live page with ${PER_MINUTE} webhooks a minute`,
    baseline: 'the same page while no webhook arrives',
    ratio_of_frames_shown: Number(((1 - of('busy', 'lostShare')) / (1 - of('quiet', 'lostShare'))).toFixed(4)),
    share_of_frames_lost: sides('lostShare', 4),
    longest_frame_ms: sides('longestMs', 1),
    rows_in_document: sides('rows', 0),
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);

async function launch() {
  const packaged = fileURLToPath(new URL('../node_modules/@sparticuz/chromium/package.json', import.meta.url));
  const { version } = JSON.parse(readFileSync(packaged, 'utf8'));
  const unpacked = fileURLToPath(new URL(`../node_modules/.cache/gateway-chromium-${version}`, import.meta.url));
  const own = process.env.CHROMIUM_PATH;
  const executablePath = own ?? join(unpacked, 'chromium');
  if (!existsSync(executablePath)) {
    throw new Error(
      'No browser: run "npx vitest run --config test/vitest.config.ts test/dashboard/feed.test.ts" once.',
    );
  }
  const libraries = own ? {} : { LD_LIBRARY_PATH: join(unpacked, 'al2023', 'lib') };
  return await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-zygote'],
    env: { ...process.env, ...libraries, LANG: 'en_US.UTF-8' },
  });
}

/** Runs in the page: the time between one frame and the next, in ms, for `forMs`. */
async function framesFor(forMs) {
  return await new Promise((resolve) => {
    const gaps = [];
    const startedAt = performance.now();
    let last = startedAt;
    const next = (now) => {
      gaps.push(now - last);
      last = now;
      if (now - startedAt >= forMs) resolve(gaps);
      else requestAnimationFrame(next);
    };
    requestAnimationFrame((now) => {
      last = now;
      requestAnimationFrame(next);
    });
  });
}
