/** `npm run demo`: the whole story with a simulated Whapi and a simulated bot, in under 30 seconds. */
import { createNarrator } from './demo/narrator.js';
import { openStage } from './demo/stage.js';
import { tellStory } from './demo/story.js';
import { systemEffects } from './effects.js';

/** How many times faster than Whapi's its simulation is: slow enough to be read, or as fast as a script likes it. */
const TIME_SCALE_READ = 30;
const TIME_SCALE_UNREAD = 200;
/** What is narrower (0: a terminal that does not know) is not worth wrapping for. */
const FEWEST_COLUMNS = 60;
const MOST_COLUMNS = 98;
const LONGEST_MS = 25_000;
const TOO_LONG = `What it waited for did not come within ${LONGEST_MS / 1000} seconds.`;
const INTERRUPTED = 130;

const { stdout, stderr } = process;
const interrupted = new AbortController();
const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(LONGEST_MS)]);
const interrupt = (): void => interrupted.abort(new Error('Interrupted.'));
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, interrupt); // not once: a second Ctrl-C must not keep the folder from being removed
stdout.once('error', interrupt); // whoever reads along has gone

async function run(): Promise<number> {
  const screen = {
    write: (text: string) => void stdout.write(text),
    columns: stdout.isTTY && stdout.columns >= FEWEST_COLUMNS ? Math.min(stdout.columns, MOST_COLUMNS) : MOST_COLUMNS,
    hasColours: stdout.isTTY && stdout.hasColors(),
    isRead: stdout.isTTY,
  };
  const stage = await openStage(screen.isRead ? TIME_SCALE_READ : TIME_SCALE_UNREAD, systemEffects, signal);
  try {
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const problems = await Promise.race([tellStory(stage, createNarrator(screen, systemEffects, signal)), aborted]);
    return problems.length === 0 ? 0 : 1;
  } finally {
    await stage.close();
  }
}

process.exitCode = await run().catch((error: unknown) => {
  const reason = signal.aborted && !interrupted.signal.aborted ? TOO_LONG : (error as Error).message;
  stderr.write(`\nThe demo did not get to its end: ${reason}\n`);
  return interrupted.signal.aborted ? INTERRUPTED : 1;
});
