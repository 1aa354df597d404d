import type { Command } from 'commander';
import type { ExitCode } from '../errors.js';
import { printableLines } from '../printable.js';
import { COMMAND, PROGRAM_NAME } from '../program-name.js';
import { chosenGateway } from './access.js';
import type { GatewayOptions } from './access.js';
import { createApi } from './api.js';
import type { Api } from './api.js';
import type { Terminal } from './terminal.js';

/** Options of every command. */
export interface GlobalOptions extends GatewayOptions {
  readonly json?: boolean;
}

/** A running command. */
export interface Session {
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly global: GlobalOptions;
  /** @throws CommandError (an invalid URL or profile) */
  readonly gatewayUrl: () => string;
  /** @throws CommandError (an invalid URL or profile, or no admin token) */
  readonly api: () => Api;
  /** Prints the result: `document` with --json, else the text. */
  readonly show: (document: unknown, text: string) => void;
}

export function startSession(global: GlobalOptions, terminal: Terminal): Session {
  const { json = false } = global;
  return {
    terminal,
    json,
    global,
    gatewayUrl: () => chosenGateway(global, terminal.env).url,
    api: () => {
      const { url, token, advice } = chosenGateway(global, terminal.env);
      return createApi({ url, token: token(), advice }, terminal.signal);
    },
    show: (document, text) => terminal.write(json ? `${JSON.stringify(document)}\n` : printableLines(text)),
  };
}

/** What a command does with its arguments and options. Undefined means exit code 0. */
export type Work<A extends unknown[]> = (session: Session, ...args: A) => Promise<ExitCode | undefined> | undefined;

/** Wraps work as commander calls it: with the command itself as the last argument. */
export type Run = <A extends unknown[]>(work: Work<A>) => (...args: [...A, Command]) => Promise<void>;

export const NAME = PROGRAM_NAME;

/** A command below `parent`, with examples in its help. */
export function addCommand(parent: Command, usage: string, summary: string, examples: readonly string[]): Command {
  const lines = examples.map(
    (example) => `  $ ${example.startsWith('$ ') ? example.slice(2).replaceAll(COMMAND, NAME) : `${NAME} ${example}`}`,
  );
  return parent
    .command(usage)
    .summary(summary)
    .description(summary)
    .addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/** Parses a list such as `a,b`. */
export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
