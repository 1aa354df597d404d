import { styleText } from 'node:util';
import type { Effects } from '../effects.js';

export type Tone = 'bold' | 'dim' | 'green' | 'yellow' | 'red';

export interface Screen {
  write(text: string): void;
  /** Maximum length of a line. */
  readonly columns: number;
  readonly hasColours: boolean;
  /** Pauses after each paragraph, for a person who reads along. */
  readonly isRead: boolean;
}

export interface Narrator {
  heading(text: string): Promise<void>;
  /** A sentence or two, wrapped. */
  say(text: string, tone?: Tone): Promise<void>;
  /** An event: a short label and a wrapped text. */
  fact(label: string, text: string, tone?: Tone): Promise<void>;
  /** Prints lines unwrapped. */
  lines(lines: readonly string[], tone?: Tone): Promise<void>;
}

const INDENT = '  ';
const LABEL_WIDTH = 10;
const HEADING_PAUSE_MS = 250;
const SAY_PAUSE_MS = 220;
const FACT_PAUSE_MS = 90;

/** Prints a story on a screen. Every method rejects once `signal` is aborted. */
export function createNarrator(screen: Screen, effects: Pick<Effects, 'sleep'>, signal: AbortSignal): Narrator {
  const paint = (text: string, tone?: Tone): string =>
    tone !== undefined && screen.hasColours ? styleText(tone, text) : text;
  const print = async (text: string, pauseMs: number): Promise<void> => {
    signal.throwIfAborted();
    screen.write(`${text}\n`);
    if (screen.isRead) await effects.sleep(pauseMs, signal);
  };
  const indented = (lines: readonly string[], tone?: Tone): string =>
    lines.map((line) => (line === '' ? '' : INDENT + paint(line, tone))).join('\n');
  const width = screen.columns - INDENT.length;
  const hanging = ' '.repeat(LABEL_WIDTH);

  return {
    heading: async (text) => await print(`\n${paint(text, 'bold')}`, HEADING_PAUSE_MS),
    say: async (text, tone) => await print(indented(wrap(text, width), tone), SAY_PAUSE_MS),
    fact: async (label, text, tone) => {
      const [first = '', ...more] = wrap(text, width - LABEL_WIDTH).map((line) => paint(line, tone));
      const lines = [paint(label.padEnd(LABEL_WIDTH), 'dim') + first, ...more.map((line) => hanging + line)];
      await print(indented(lines), FACT_PAUSE_MS);
    },
    lines: async (lines, tone) => await print(indented(lines, tone), SAY_PAUSE_MS),
  };
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** Formats rows as a table with aligned columns; the first row is the header. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [lines[0] ?? '', widths.map((width) => '-'.repeat(width)).join('  '), ...lines.slice(1)];
}
