#!/usr/bin/env node
/** `whapi-resync-gateway`: the command line. What it starts itself (serve, simulate, demo) is what npm's scripts start. */
import { runCommandLine } from './cli/program.js';
import type { ProgramName } from './cli/program.js';
import { systemEffects } from './effects.js';

const { stdin, stdout, stderr } = process;
const NARROWEST = 20;
const NO_READER = 141; // as a shell reports a program that a broken pipe has ended

/** Each is a program of its own, that reads what stands behind its name. */
async function start(name: ProgramName): Promise<void> {
  process.off('SIGINT', interrupt);
  process.argv.splice(2, process.argv.indexOf(name) - 1);
  if (name === 'serve') await import('./main.js');
  else if (name === 'simulate') await import('./simulate.js');
  else await import('./demo.js');
}

const interrupted = new AbortController();
const interrupt = (): void => interrupted.abort();
process.on('SIGINT', interrupt);
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? NO_READER : 1));

const exitCode = await runCommandLine(
  process.argv.slice(2),
  {
    env: process.env,
    stdin,
    write: (text) => void stdout.write(text),
    tell: (text) => void stderr.write(text),
    // A terminal that does not know its width is not worth drawing for less than any has.
    columns: () => (stdout.isTTY ? Math.max(stdout.columns || 80, NARROWEST) : null),
    signal: interrupted.signal,
    effects: systemEffects,
  },
  start,
);
if (exitCode !== null) process.exitCode = exitCode;
if (interrupted.signal.aborted) process.exit(); // although somebody still reads from standard input
