import { readFile } from 'node:fs/promises';
import { CommandError, EXIT } from '../errors.js';
import type { Terminal } from './terminal.js';

const MOST_IDS = 10_000;

/**
 * The message ids that somebody named: as arguments, in a file, or on standard input (`-`), in order, none twice. In
 * texts they are apart by white space or commas; what follows a # is a comment. @throws CommandError
 */
export async function idsOf(args: readonly string[], file: string | undefined, terminal: Terminal): Promise<string[]> {
  const texts = [
    ...args.filter((arg) => arg !== '-'),
    ...(file === undefined || file === '-' ? [] : [await fileText(file)]),
    ...(args.includes('-') || file === '-' ? [await stdinText(terminal)] : []),
  ];
  const ids = [...new Set(texts.flatMap(idsIn))];
  if (ids.length === 0)
    throw new CommandError(EXIT.usage, 'No message ids: name them, or a file with --file, or - to read them.');
  if (ids.length > MOST_IDS) {
    throw new CommandError(
      EXIT.usage,
      `${ids.length} ids: one run takes ${MOST_IDS} at most. Split them (split -l ${MOST_IDS}).`,
    );
  }
  return ids;
}

function idsIn(text: string): string[] {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, ''));
  return lines.flatMap((line) => line.split(/[\s,]+/)).filter((id) => id !== '');
}

/** @throws CommandError (it cannot be read) */
export async function fileText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CommandError(EXIT.usage, `${file} cannot be read: ${(error as Error).message}`);
  });
}

/** All of standard input. @throws CommandError (interrupted) */
export async function stdinText({ stdin, tell, signal }: Terminal): Promise<string> {
  if (stdin.isTTY) tell('Reading from the terminal; Ctrl-D on a line of its own ends it.\n');
  const chunks: string[] = [];
  const read = async (): Promise<void> => {
    for await (const chunk of stdin) chunks.push(chunk.toString());
  };
  const interrupted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new CommandError(EXIT.interrupted, 'Interrupted.')), { once: true });
  });
  await Promise.race([read(), interrupted]);
  return chunks.join('');
}
