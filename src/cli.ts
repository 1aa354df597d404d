#!/usr/bin/env node
/** `whapi-resync-gateway`: the command line. `serve`, `simulate` and `demo` start the same programs as npm's scripts. */
import { runCommandLine } from './cli/program.js';
import type { ProgramName } from './cli/program.js';
import { systemEffects } from './effects.js';

const { stdin, stdout, stderr } = process;
const LEAST_COLUMNS = 20;
const BROKEN_PIPE = 141; // as a shell reports a program that SIGPIPE ended

/** Each is a program of its own, which reads the arguments after its name. */
async function start(name: ProgramName): Promise<void> {
  process.off('SIGINT', interrupt);
  process.argv.splice(2, process.argv.indexOf(name) - 1);
  if (name === 'serve') await import('./main.js');
  else if (name === 'simulate') await import('./simulate.js');
  else await import('./demo.js');
}

process.umask(0o077); // a backup or a key is for its user only
const interrupted = new AbortController();
const interrupt = (): void => interrupted.abort();
process.on('SIGINT', interrupt);
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? BROKEN_PIPE : 1));

const exitCode = await runCommandLine(
  process.argv.slice(2),
  {
    env: process.env,
    stdin,
    write: (text) => void stdout.write(text),
    tell: (text) => void stderr.write(text),
    // Some terminals report a width of 0.
    columns: () => (stdout.isTTY ? Math.max(stdout.columns || 80, LEAST_COLUMNS) : null),
    signal: interrupted.signal,
    effects: systemEffects,
  },
  start,
  async () => await import('./maintenance.js'),
);
if (exitCode !== null) process.exitCode = exitCode;
if (interrupted.signal.aborted) process.exit(); // a pending read of standard input would keep the process alive
