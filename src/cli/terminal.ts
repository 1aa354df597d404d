import type { Effects } from '../effects.js';

/** The surroundings of a command: where it reads and writes, and how it is interrupted. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Buffer | string> & {
    readonly isTTY?: boolean;
    /** Of a terminal: whether each key arrives as it is pressed, and is not shown. */
    readonly setRawMode?: (isRaw: boolean) => unknown;
  };
  /** Writes results, to standard output. */
  readonly write: (text: string) => void;
  /** Writes everything else, to standard error. */
  readonly tell: (text: string) => void;
  /** Width of the terminal; null when results go to a file or a pipe. */
  readonly columns: () => number | null;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly effects: Effects;
}

/** Between columns. */
const GAP = '  ';
/** A column is not shortened below this, or below its title. */
const LEAST_WIDTH = 6;

/** Such as `tgt_x4JbQm0Vn2RkLs8TzYcD`, `itm_107o5e9spa9_0`, or the `107o5e9spa8` of a webhook. */
const ID = /^([a-z]{3}_[\w-]{8,}|\d[a-z\d]{10})$/;

interface Column {
  readonly title: string;
  readonly width: number;
  readonly isId: boolean;
}

/**
 * Columns, as wide as their longest cell. In a terminal that is narrower than that, the widest columns are shortened first.
 * Ids are always whole, because people copy them. Where that is not enough, the cells of a row stand below each other.
 * @param columns width of the terminal; null: no limit, for files and pipes
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number | null = null,
): string {
  const all = head.map((title, index) => columnOf(title, rows, index));
  const widths =
    columns === null ? all.map(({ width }) => width) : fitted(all, columns - GAP.length * (all.length - 1));
  if (widths === null) return rows.map((row) => blockOf(all, row, columns ?? 0)).join('\n');
  return [head, ...rows]
    .map(
      (row) =>
        `${widths
          .map((width, index) => padded(shortened(row[index] ?? '', width), width))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join('');
}

function columnOf(title: string, rows: readonly (readonly string[])[], index: number): Column {
  const cells = rows.map((row) => row[index] ?? '');
  return {
    title,
    width: cells.reduce((most, cell) => Math.max(most, widthOf(cell)), widthOf(title)),
    isId: /\b(ID|MESSAGE)$/.test(title) || cells.some((cell) => ID.test(cell)),
  };
}

/** Widths that fit into `room` together; null where there are none. */
function fitted(columns: readonly Column[], room: number): number[] | null {
  const least = columns.map(({ title, width, isId }) =>
    isId ? width : Math.min(width, Math.max(LEAST_WIDTH, widthOf(title))),
  );
  const widths = columns.map(({ width }) => width);
  for (let excess = widths.reduce((sum, width) => sum + width, 0) - room; excess > 0; excess -= 1) {
    const spare = widths.map((width, index) => (width > (least[index] ?? 0) ? width : 0));
    const widest = Math.max(...spare);
    if (widest === 0) return null;
    widths[spare.indexOf(widest)] = widest - 1;
  }
  return widths;
}

/** A row as lines of titles and cells. */
function blockOf(columns: readonly Column[], row: readonly string[], width: number): string {
  const titles = Math.max(...columns.map(({ title }) => widthOf(title)));
  const room = Math.max(LEAST_WIDTH, width - titles - GAP.length);
  const cell = ({ isId }: Column, text: string): string => (isId ? text : shortened(text, room));
  return columns
    .map((column, index) => `${padded(column.title, titles)}${GAP}${cell(column, row[index] ?? '')}`.trimEnd() + '\n')
    .join('');
}

const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - widthOf(text)));

/** Letters with their marks, and emojis with their parts, are one. */
const CHARACTERS = new Intl.Segmenter();
const ASCII = /^[ -~]*$/;
const WIDE = /[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\u3001-\u303f\uff01-\uff60]/u;

function* charactersOf(text: string): Iterable<[character: string, width: number]> {
  for (const { segment } of CHARACTERS.segment(text)) yield [segment, WIDE.test(segment) ? 2 : 1];
}

/** The columns that a terminal uses for a text. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const [, each] of charactersOf(text)) width += each;
  return width;
}

/** A text of at most `width` columns; … stands for the rest. */
export function shortened(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let left = width - 1;
  for (const [character, each] of charactersOf(text)) {
    left -= each;
    if (left < 0) break;
    kept += character;
  }
  return width > 0 ? `${kept}…` : '';
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** `2 h 5 min`: the two largest units. */
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts = UNITS.flatMap(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count} ${unit}`] : [];
  });
  return parts.slice(0, 2).join(' ') || '0 s';
}
