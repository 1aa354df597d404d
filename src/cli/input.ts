import { readFile } from 'node:fs/promises';
import { CommandError, usageError } from '../errors.js';
import { isMessageId, MESSAGE_ID_EXAMPLE, MESSAGE_ID_WORDS } from '../message-id.js';
import type { Terminal } from './terminal.js';
import { quoted } from '../quoted.js';

const MOST_IDS = 10_000;
/** Invalid ids that an error names. */
const MOST_TOLD = 3;

/** Where ids were read, and what a person would call the place. */
interface Source {
  readonly name: string;
  readonly text: string;
  /** False for arguments, which have no lines. */
  readonly hasLines: boolean;
}

interface Found {
  readonly id: string;
  /** `line 3`; of an argument nothing. */
  readonly place: string;
}

/**
 * Message ids from the arguments, a file and standard input (`-`), in this order, without repetitions. White space or
 * commas separate them; the rest of a line after a # is a comment. @throws CommandError (none, too many, or invalid ones)
 */
export async function idsOf(args: readonly string[], file: string | undefined, terminal: Terminal): Promise<string[]> {
  const sources: Source[] = [
    { name: 'the arguments', text: args.filter((arg) => arg !== '-').join('\n'), hasLines: false },
    ...(file === undefined || file === '-' ? [] : [{ name: file, text: await fileText(file), hasLines: true }]),
    ...(args.includes('-') || file === '-'
      ? [{ name: 'standard input', text: await stdinText(terminal), hasLines: true }]
      : []),
  ];
  for (const source of sources) mustHaveIds(source);
  const ids = [...new Set(sources.flatMap(idsIn).map(({ id }) => id))];
  if (ids.length === 0) {
    throw usageError(
      `Missing message ids: give them as arguments (for example ${MESSAGE_ID_EXAMPLE}), in a file (--file ids.txt), or on ` +
        'standard input (-).',
    );
  }
  if (ids.length > MOST_IDS) {
    throw usageError(
      `Too many message ids: ${ids.length}. One run takes at most ${MOST_IDS}. Split them, for example with: split -l ${MOST_IDS}`,
    );
  }
  return ids;
}

function idsIn({ text, hasLines }: Source): Found[] {
  return text.split('\n').flatMap((line, index) =>
    line
      .replace(/#.*/, '')
      .split(/[\s,]+/)
      .filter((id) => id !== '')
      .map((id) => ({ id, place: hasLines ? `line ${index + 1}: ` : '' })),
  );
}

/** @throws CommandError that names the first invalid ids with their lines, and counts the rest */
function mustHaveIds(source: Source): void {
  const invalid = idsIn(source).filter(({ id }) => !isMessageId(id));
  if (invalid.length === 0) return;
  const told = invalid.slice(0, MOST_TOLD).map(({ id, place }) => `${place}${quoted(id)}`);
  const more = invalid.length > MOST_TOLD ? ` and ${invalid.length - MOST_TOLD} more` : '';
  throw usageError(
    `Invalid message ids in ${source.name}: ${told.join(', ')}${more}. Expected ${MESSAGE_ID_WORDS}, for example ` +
      `${MESSAGE_ID_EXAMPLE}. Write one id per line, or separate them with commas.`,
  );
}

/** Why a file cannot be read, by the code of Node's error. */
export const FILE_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'you may not read it',
};

/** @throws CommandError (it cannot be read) */
export async function fileText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw usageError(`Cannot read ${file}: ${FILE_FAULTS[code] ?? message}.`);
  });
}

/** All of standard input. @throws CommandError (interrupted) */
export async function stdinText({ stdin, tell, signal }: Terminal): Promise<string> {
  if (stdin.isTTY) tell('Reading from the terminal. End with Ctrl-D on a line of its own.\n');
  const chunks: string[] = [];
  const read = async (): Promise<void> => {
    for await (const chunk of stdin) chunks.push(chunk.toString());
  };
  await Promise.race([read(), interruption(signal)]);
  return chunks.join('');
}

/** Never resolves. @throws CommandError once Ctrl-C is pressed */
export async function interruption(signal: AbortSignal): Promise<never> {
  return await new Promise((_resolve, reject) => {
    const end = (): void => reject(new CommandError('GW_INTERRUPTED', 'Interrupted.'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
