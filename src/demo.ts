/**
 * `npm run demo`: the whole story with a simulated Whapi and a simulated bot, in under 30 seconds. `-- --postgres` tells it
 * with PostgreSQL.
 */
import type { DemoEngine } from './demo/database.js';
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
const USAGE_EXIT_CODE = 2;

const { stdout, stderr } = process;
const interrupted = new AbortController();
const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(TIMEOUT_MS)]);
const interrupt = (): void => interrupted.abort(new Error('Interrupted.'));
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, interrupt); // not `once`: after a second Ctrl-C the folder must still be removed
stdout.once('error', interrupt); // the reader has closed the pipe

/** Undefined: an argument is wrong. */
function engineOf(args: readonly string[]): DemoEngine | undefined {
  const [argument = '', ...others] = args;
  if (args.length === 0) return 'sqlite';
  if (others.length > 0 || !/^--postgres(=.+)?$/.test(argument)) return undefined;
  const server = argument.split('=').slice(1).join('=') || (process.env['DATABASE_URL'] ?? '');
  return server === '' || server.startsWith('sqlite:') ? 'postgres' : { server };
}

async function run(engine: DemoEngine): Promise<number> {
  const screen = {
    write: (text: string) => void stdout.write(text),
    columns: stdout.isTTY && stdout.columns >= MIN_COLUMNS ? Math.min(stdout.columns, MAX_COLUMNS) : MAX_COLUMNS,
    hasColours: stdout.isTTY && stdout.hasColors(),
    isRead: stdout.isTTY,
  };
  const timeScale = screen.isRead ? TERMINAL_TIME_SCALE : SCRIPT_TIME_SCALE;
  const stage = await openStage(engine, timeScale, systemEffects, signal);
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

function reasonOf(error: unknown): string {
  if (interrupted.signal.aborted) return (interrupted.signal.reason as Error).message;
  return signal.aborted ? TIMED_OUT : (error as Error).message;
}

const engine = engineOf(process.argv.slice(2));
if (engine === undefined) {
  stderr.write(
    'Invalid arguments. Use no arguments, --postgres, or --postgres=postgres://user:password@host:5432/postgres.\n',
  );
  process.exitCode = USAGE_EXIT_CODE;
} else {
  process.exitCode = await run(engine).catch((error: unknown) => {
    stderr.write(`\nThe demo stopped: ${reasonOf(error)}\n`);
    return interrupted.signal.aborted ? INTERRUPTED_EXIT_CODE : 1;
  });
}
