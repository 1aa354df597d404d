import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { FILTERS } from '../bench/accuracy/filters.js';
import { monthOf } from '../bench/accuracy/month.js';
import { DAY, HOUR, MINUTE } from './support/store.js';

const BENCH = fileURLToPath(new URL('../bench/accuracy.js', import.meta.url));
const NONE = { leaks: 0, repeatsWithNewId: 0, lostVotes: 0 };

interface Accuracy {
  readonly results: Readonly<Record<string, { readonly leaks: number; readonly repeats: number }>>;
}

/** Whether each filter lets a message pass that was sent at 0 and comes at each of these times. */
function passes(comesAt: readonly number[]): Record<string, boolean[]> {
  const month = { start: -1, periods: { botDown: [{ from: HOUR, until: 2 * HOUR }] } };
  const made = FILTERS.map(({ name, make }) => {
    const filter = make(month as unknown as ReturnType<typeof monthOf>);
    return [name, comesAt.map((at) => filter.passes({ id: 'a', timestamp: 0 }, at))] as const;
  });
  return Object.fromEntries(made);
}

it('lets nothing restored through and loses nothing genuine, in any month', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { stdout } = await promisify(execFile)(process.execPath, [BENCH, '--days', '2', '--seed', String(seed)]);
  const { results } = JSON.parse(stdout.split('\n')[0] ?? '') as Accuracy;
  for (const [name, counts] of Object.entries(results))
    if (name.startsWith('this gateway')) expect({ seed, name, ...counts }).toMatchObject(NONE);
  expect(results['this gateway, default settings']).toMatchObject({ ...NONE, lost: 0 });
  // It leaves out what the number itself has answered meanwhile, and nothing else.
  expect(results['this gateway, with skip_answered']).toMatchObject({ ...NONE, lostUnanswered: 0 });
  expect(results['no filter']?.leaks).toBeGreaterThan(0);
  expect(results['no filter']?.repeats).toBeGreaterThan(0);
}, 120_000);

it('makes the same month from the same seed', () => {
  const bodies = (seed: number): string[] => monthOf(seed, 2).webhooks.map(({ at, body }) => `${at} ${String(body)}`);
  expect(bodies(7)).toEqual(bodies(7));
  expect(bodies(8)).not.toEqual(bodies(7));
});

it('compares with filters that work as their names say', () => {
  expect(passes([0, 6 * MINUTE, 61 * MINUTE, 3 * HOUR, 3 * DAY])).toEqual({
    'no filter': [true, true, true, true, true],
    'maximum age of 15 minutes': [true, true, false, false, false],
    'maximum age of 48 hours': [true, true, true, true, false],
    'nothing from before the start of the bot': [true, true, true, false, false],
    'ids of the last 5 minutes': [true, true, true, true, true],
    'ids of the last hour': [true, false, true, true, true],
    'the last 10,000 ids': [true, false, false, false, false],
    'all ids, for ever': [true, false, false, false, false],
  });
});
