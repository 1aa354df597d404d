import { Argument, Help } from 'commander';
import type { Command, Option } from 'commander';
import { COMMAND } from '../program-name.js';
import { bashScript, fishScript, zshScript } from './completion-scripts.js';
import type { Completed, CompletedOption } from './completion-scripts.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type Shell = keyof typeof SCRIPTS;
const SHELLS = Object.keys(SCRIPTS) as Shell[];

/** `completion <shell>`. */
export function completionCommand(program: Command, run: Run): void {
  addCommand(program, 'completion', 'Print a script that completes commands and options with the Tab key', [
    `$ source <(${COMMAND} completion bash)`,
    'completion zsh',
    'completion fish',
  ])
    .addArgument(new Argument('<shell>', SHELLS.join(', ')).choices(SHELLS))
    .action(run((session, shell: Shell) => print(session, shell, program)));
}

function print({ show }: Session, shell: Shell, program: Command): undefined {
  const script = SCRIPTS[shell](completedOf(program));
  show({ shell, script }, script);
  return;
}

/** The command and all below it, as their help shows them. */
function completedOf(program: Command): Completed[] {
  const help = new Help();
  help.showGlobalOptions = true;
  const walk = (command: Command, path: string): Completed[] => {
    const below = help.visibleCommands(command).filter((each) => each.name() !== 'help');
    const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
    const completed: Completed = {
      path,
      commands: below.map((each) => ({ word: each.name(), text: help.subcommandDescription(each) })),
      options: options.map(optionOf),
      values: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
      takesFile: command.registeredArguments.some((argument) => FILE.test(argument.name())),
    };
    return [completed, ...below.flatMap((each) => walk(each, path === '' ? each.name() : `${path} ${each.name()}`))];
  };
  return walk(program, '');
}

const FILE = /^(file|path)$/;

function optionOf({ short, long, flags, description, argChoices }: Option): CompletedOption {
  const [, value] = /[<[](.+?)[\]>]/.exec(flags) ?? [];
  return {
    flags: [short, long].flatMap((flag) => flag ?? []),
    text: description,
    takes: value === undefined ? 'nothing' : FILE.test(value) ? 'file' : 'value',
    values: argChoices ?? [],
  };
}
