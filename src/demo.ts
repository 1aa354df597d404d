/** `npm run demo`: the whole story with a simulated Whapi and a simulated bot, in under 30 seconds. */
import { createNarrator } from './demo/narrator.js';
import { openStage } from './demo/stage.js';
import { tellStory } from './demo/story.js';
import { systemEffects } from './effects.js';

/** How many times faster than the real Whapi the simulated one is: readable on a terminal, fast in a script. */
const TERMINAL_TIME_SCALE = 30;
const SCRIPT_TIME_SCALE = 200;
/** Narrower terminals (0: unknown width) get the full width instead. */
const MIN_COLUMNS = 60;
const MAX_COLUMNS = 98;
const TIMEOUT_MS = 25_000;
const TIMED_OUT = `Timed out after ${TIMEOUT_MS / 1000} seconds.`;
const INTERRUPTED_EXIT_CODE = 130;

const { stdout, stderr } = process;
const interrupted = new AbortController();
const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(TIMEOUT_MS)]);
const interrupt = (): void => interrupted.abort(new Error('Interrupted.'));
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, interrupt); // not `once`: after a second Ctrl-C the folder must still be removed
stdout.once('error', interrupt); // the reader has closed the pipe

async function run(): Promise<number> {
  const screen = {
    write: (text: string) => void stdout.write(text),
    columns: stdout.isTTY && stdout.columns >= MIN_COLUMNS ? Math.min(stdout.columns, MAX_COLUMNS) : MAX_COLUMNS,
    hasColours: stdout.isTTY && stdout.hasColors(),
    isRead: stdout.isTTY,
  };
  const stage = await openStage(screen.isRead ? TERMINAL_TIME_SCALE : SCRIPT_TIME_SCALE, systemEffects, signal);
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
  const reason = signal.aborted && !interrupted.signal.aborted ? TIMED_OUT : (error as Error).message;
  stderr.write(`\nThe demo stopped: ${reason}\n`);
  return interrupted.signal.aborted ? INTERRUPTED_EXIT_CODE : 1;
});
