import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { CommandError, EXIT, usageError } from '../errors.js';
import type { CommandErrorCode, ExitCode } from '../errors.js';
import { printable } from '../printable.js';
import { auditCommand } from './audit.js';
import { auditCommands } from './audits.js';
import { channelCommands } from './channels.js';
import { completionCommand } from './completion.js';
import { deliveryCommands } from './deliveries.js';
import { doctorCommand } from './doctor.js';
import { explainCommand } from './explain.js';
import { itemCommands, messageCommands, webhookCommands } from './items.js';
import { jobCommands } from './jobs.js';
import { loginCommands } from './login.js';
import { maintenanceCommands } from './maintenance.js';
import type { LoadMaintenance } from './maintenance.js';
import { apiCommand } from './request.js';
import { resyncCommand } from './resync.js';
import { resyncCommands } from './resyncs.js';
import { hideIn, secretsOf } from './secrets.js';
import { addCommand, NAME, startSession } from './session.js';
import type { GlobalOptions, Run, Work } from './session.js';
import { statsCommand } from './stats.js';
import { tailCommand } from './tail.js';
import { targetCommands } from './targets.js';
import type { Terminal } from './terminal.js';

/** Programs that the command line only starts. They have their own signal handling, output and exit codes. */
export const PROGRAMS = ['serve', 'simulate', 'demo'] as const;
export type ProgramName = (typeof PROGRAMS)[number];

const CLOSING_WORDS = `
Exit codes:
  0    done
  1    a check failed: doctor, audit, targets test, channels connect, channels probe; a resync restored nothing; or
       backup, restore, rekey or migrate could not do it
  2    wrong usage: an invalid or missing option, argument, file or value
  3    cannot reach the gateway, or it accepts no work at the moment
  4    a resync restored only some of its messages
  5    the gateway answered with an error
  6    not found: no such channel, target, message, resync, audit or item
  130  interrupted with Ctrl-C; work in the gateway continues
Which gateway: --gateway and --token-file, else --profile, else GATEWAY_PROFILE, else GATEWAY_URL and ADMIN_TOKEN, else the
profile "default" (see login), else http://127.0.0.1:8080 with the token in the file admin-token beside the database
(default ./data).
With --json, an error is one line of JSON on standard error: {"code":"GW_…","detail":"…"}.`;

/**
 * Runs one command line; `args` do not include the program's name. Returns null when it started a program that runs on.
 * commander reads the arguments and writes the help: it has no dependencies, and node:util's parseArgs has no commands.
 */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  start: (program: ProgramName) => Promise<void>,
  loadMaintenance: LoadMaintenance,
): Promise<ExitCode | null> {
  let exitCode: ExitCode | null = EXIT.ok;
  const isJson = wantsJson(args);
  const program = new Command(NAME)
    .exitOverride()
    // Errors are written by `report`, in one form for all.
    .configureOutput({
      writeOut: terminal.write,
      writeErr: (text) => (isJson ? undefined : terminal.tell(text)),
      outputError: () => undefined,
    })
    .configureHelp({ showGlobalOptions: true })
    .description('Brings lost WhatsApp messages back at Whapi without your bots answering them.')
    .version(version(), '-V, --version')
    .option('--gateway <url>', 'URL of the gateway')
    .option('--token-file <path>', 'file with its admin token')
    .option('--profile <name>', 'gateway that login saved under this name')
    .option('--json', 'print results and errors as JSON')
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
  resyncCommands(program, run);
  explainCommand(program, run);
  itemCommands(program, run);
  messageCommands(program, run);
  webhookCommands(program, run);
  deliveryCommands(program, run);
  jobCommands(program, run);
  auditCommand(program, run);
  auditCommands(program, run);
  statsCommand(program, run);
  tailCommand(program, run);
  apiCommand(program, run);
  doctorCommand(program, run, loadMaintenance);
  maintenanceCommands(program, run, loadMaintenance);
  loginCommands(program, run);
  completionCommand(program, run);
  addCommand(program, 'simulate', 'Run a simulated Whapi to try the gateway with (see simulate --help)', [
    'simulate --time-scale 100',
  ])
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(starts('simulate'));
  addCommand(program, 'demo', 'Show the whole story with a simulated Whapi and a simulated bot', [
    'demo',
    'demo --postgres=postgres://gateway:secret@localhost:5432/postgres',
  ])
    .option('--postgres [url]', 'with PostgreSQL, in a temporary database of this server')
    .action(starts('demo'));

  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error, isJson, terminal);
  }
}

/** `--json` before any `--`: commander has not read the options yet when it finds one that is wrong. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? args.length : end).includes('--json');
}

/** Writes an error to standard error. @throws what is a fault of ours */
function report(error: unknown, isJson: boolean, { tell, env }: Terminal): ExitCode {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
  const found = error instanceof CommanderError ? asUsageError(error) : error;
  if (!(found instanceof CommandError)) throw error;
  const known = hideIn(found, secretsOf(env));
  const { code, fields } = known;
  const detail = printable(known.message);
  if (isJson) tell(`${JSON.stringify({ code, detail, ...(fields.length > 0 && { errors: fields }) })}\n`);
  else if (!isHelpShown(error)) tell(`${OWN_CODES.has(code) ? '' : `${code}: `}${detail}\n`);
  return known.exitCode;
}

/** The text of these says it all; what the gateway answered is easier to look up with its code. */
const OWN_CODES: ReadonlySet<string> = new Set<CommandErrorCode>([
  ...(['GW_USAGE', 'GW_NO_ADMIN_TOKEN', 'GW_UNREACHABLE', 'GW_NOT_A_GATEWAY', 'GW_INTERRUPTED'] as const),
]);

/** A group of commands without the name of one: commander has shown its help. */
function isHelpShown(error: unknown): boolean {
  return error instanceof CommanderError && error.code === 'commander.help';
}

/** commander writes `error: unknown command 'chanels'\n(Did you mean channels?)`. */
function asUsageError(error: CommanderError): CommandError {
  if (isHelpShown(error)) return usageError('Missing command. Add --help for the list of commands.');
  const text = withoutValue(error.message)
    .replace(/^error: /, '')
    .replace(/\n\((.*)\)$/, '. $1')
    .replace(
      /^command-argument value ('.*') is invalid for argument '(.*)'\. Allowed choices are /s,
      'invalid $2 $1: expected one of ',
    )
    .replaceAll("'", '"');
  const sentence = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  return usageError(`${sentence}${/[.?]$/.test(sentence) ? '' : '.'} Add --help for usage and examples.`);
}

/** The value in an unknown option such as `--token=…` or `-t…` may be a secret, whatever its shape. */
function withoutValue(message: string): string {
  return message
    .replace(/^(error: unknown option '--[^='\s]*)=[^]*?'(?=\n|$)/, "$1'")
    .replace(/^(error: unknown option '-[^-])[^]*?'(?=\n|$)/, "$1'");
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
