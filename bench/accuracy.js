import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { ASSUMPTIONS } from './accuracy/assumptions.js';
import { FILTERS } from './accuracy/filters.js';
import { monthOf } from './accuracy/month.js';
import { runFilter, runGateway } from './accuracy/runs.js';
import { MINUTE } from './accuracy/periods.js';

/**
 * Which messages reach a bot and should not, or should and do not: one labelled month of one busy number, made from a seed,
 * through the filters that bots use and through this gateway (docs/accuracy.md). Prints one JSON line, then the table of the
 * README. `node bench/accuracy.js --seed 2 --days 3` makes another month.
 */
const GATEWAYS = [
  { name: 'this gateway, default settings', settings: {} },
  { name: 'this gateway, with skip_answered', settings: { skip_answered: true } },
];

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, days: { type: 'string', default: '30' } },
});
const [seed, days] = [Number(values.seed), Number(values.days)];
if (!Number.isInteger(seed) || !Number.isInteger(days) || days < 2) {
  console.error('usage: node bench/accuracy.js [--seed 1] [--days 30]   (at least 2 days)');
  process.exit(2);
}

const month = monthOf(seed, days);
const results = {};
for (const filter of FILTERS) results[filter.name] = await runFilter(month, seed, filter);
for (const { name, settings } of GATEWAYS) results[name] = await runGateway(month, seed, settings);

console.log(
  JSON.stringify({
    bench: 'accuracy over a month of one busy number',
    baseline: 'the filters that bots use instead, on the same month',
    ...{ seed, days, month: summaryOf(month), results, assumptions: ASSUMPTIONS },
  }),
);
console.log(`\n${table(results)}`);

function summaryOf({ webhooks, resyncs, periods }) {
  const items = webhooks.flatMap(({ items: some }) => some);
  const count = (label, kind) => items.filter((item) => item.label === label && item.kind === kind).length;
  const digest = createHash('sha256');
  for (const { at, body } of webhooks) digest.update(`${at} `).update(body);
  return {
    webhooks: webhooks.length,
    messages: count('genuine', 'message'),
    edits: count('genuine', 'edit'),
    votes: count('genuine', 'vote'),
    restored: count('restored', 'message'),
    resynced_ids: resyncs.length,
    channel_offline_minutes: minutesOf(periods.offline),
    bot_down_minutes: minutesOf(periods.botDown),
    sha256: digest.digest('hex'),
  };
}

function minutesOf(periods) {
  return Math.round(periods.reduce((sum, { from, until }) => sum + until - from, 0) / MINUTE);
}

function table(rows) {
  const head = ['', 'leaks', 'repeats', 'lost messages', 'lost votes'];
  const lines = Object.entries(rows).map(([name, { leaks, repeats, repeatsWithNewId, lost, lostVotes }]) => {
    const isGateway = GATEWAYS.some((gateway) => gateway.name === name);
    const shown = isGateway ? `${repeats} (${repeatsWithNewId} under a new \`webhook-id\`)` : repeats;
    return [name, leaks, shown, lost, lostVotes];
  });
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
