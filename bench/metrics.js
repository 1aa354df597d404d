import { Feed } from '../dist/feed.js';
import { publishTo } from '../dist/feed-events.js';
import { systemEffects } from '../dist/effects.js';
import { Metrics } from '../dist/metrics.js';
import { tellBoth } from '../dist/observer.js';
import { median } from './load.js';
import { openTemporaryStore, recordMessages } from './store.js';

/**
 * What counting a webhook costs: the hook after its commit, feed and clock readings included, as a share of the CPU that
 * decoding and recording it takes in the same process. The share of a whole request is smaller.
 */
const ROUNDS = 7;
const WEBHOOKS = 5000;
const HOOKS = 2_000_000;

const { store, close } = await openTemporaryStore();
const feed = new Feed({ boot: 'bench', effects: systemEffects });
const observer = tellBoth(new Metrics(), publishTo(feed, systemEffects));
const recorded = { webhook: 'x', judgements: [{ verdict: 'new', rule: 10 }], held: new Set(), verdicts: ['new'] };
const event = { type: 'messages', method: 'post' };

const cpuUsPer = async (count, work) => {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
};

const countWebhooks = () => {
  for (let n = 0; n < HOOKS; n += 1) {
    const since = systemEffects.monotonic();
    observer.onRecorded({ channel: 'main', event, recorded, commitMs: systemEffects.monotonic() - since });
  }
};

await recordMessages(store, WEBHOOKS); // warms up
const rounds = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const webhook = await cpuUsPer(WEBHOOKS, async () => await recordMessages(store, WEBHOOKS));
  rounds.push({ webhook, hook: await cpuUsPer(HOOKS, countWebhooks) });
}
await close();

const [webhookUs, hookUs] = [median(rounds.map(({ webhook }) => webhook)), median(rounds.map(({ hook }) => hook))];
console.log(
  JSON.stringify({
    bench: 'counting a webhook',
    baseline: 'decoding and recording it, in the same process',
    ratio: Number((hookUs / webhookUs).toFixed(4)),
    cpu_us_per_webhook: { recorded: Number(webhookUs.toFixed(1)), counted: Number(hookUs.toFixed(3)) },
    rounds: ROUNDS,
  }),
);
