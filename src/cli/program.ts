import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { auditCommand } from './audit.js';
import { channelCommands } from './channels.js';
import { doctorCommand } from './doctor.js';
import { explainCommand } from './explain.js';
import { heldCommands } from './held.js';
import { resyncCommand } from './resync.js';
import { addCommand, NAME, startSession } from './session.js';
import type { GlobalOptions, Run, Work } from './session.js';
import { targetCommands } from './targets.js';
import type { Terminal } from './terminal.js';

/** Programs that the command line only starts: they have signals, output and exit codes of their own. */
export const PROGRAMS = ['serve', 'simulate', 'demo'] as const;
export type ProgramName = (typeof PROGRAMS)[number];

const CLOSING_WORDS = `
Exit codes: 0 done; 1 failed, or the gateway refused; 2 wrong usage; 3 the gateway cannot be reached;
4 only some messages were restored; 130 interrupted (what runs in the gateway goes on).
The gateway is looked for at GATEWAY_URL (default http://127.0.0.1:8080); its admin token is ADMIN_TOKEN, or in the
file admin-token beside the database (default ./data).`;

/**
 * Runs one command line; `args` without the program's name. Null: it has started a program that ends by itself.
 * commander reads the arguments and writes the help: it has no dependencies, and node:util's parseArgs has no commands.
 */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  start: (program: ProgramName) => Promise<void>,
): Promise<ExitCode | null> {
  let exitCode: ExitCode | null = EXIT.ok;
  const program = new Command(NAME)
    .exitOverride()
    .configureOutput({ writeOut: terminal.write, writeErr: terminal.tell })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help for the usage and examples)')
    .description('Brings lost WhatsApp messages back at Whapi without your bots answering them.')
    .version(version(), '--version')
    .option('--gateway <url>', 'where the gateway is')
    .option('--token-file <path>', 'file with its admin token')
    .option('--json', 'results as JSON')
    .addHelpText('after', CLOSING_WORDS);

  const run: Run =
    <A extends unknown[]>(work: Work<A>) =>
    async (...args: [...A, Command]) => {
      const command = args.pop() as Command;
      const session = startSession(command.optsWithGlobals<GlobalOptions>(), terminal);
      exitCode = (await work(session, ...(args as unknown as A))) ?? EXIT.ok;
    };
  const starts = (name: ProgramName) => async (): Promise<void> => {
    exitCode = null;
    await start(name);
  };

  addCommand(program, 'serve', 'Run the gateway until Ctrl-C; settings come from the environment', [
    'serve',
    '$ PORT=9000 PUBLIC_URL=https://gateway.example.com whapi-resync-gateway serve',
  ]).action(starts('serve'));
  channelCommands(program, run);
  targetCommands(program, run);
  resyncCommand(program, run);
  explainCommand(program, run);
  heldCommands(program, run);
  auditCommand(program, run);
  doctorCommand(program, run);
  addCommand(program, 'simulate', 'Run a simulated Whapi to try the gateway with; see simulate --help', [
    'simulate --time-scale 100',
  ])
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(starts('simulate'));
  addCommand(program, 'demo', 'Tell the whole story with a simulated Whapi and a simulated bot', ['demo']).action(
    starts('demo'),
  );

  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return told(error, terminal);
  }
}

/** @throws what is a fault of ours */
function told(error: unknown, { tell }: Terminal): ExitCode {
  if (error instanceof CommandError) {
    tell(`${error.message}\n`);
    return error.exitCode;
  }
  // commander has written its own words.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  throw error;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
