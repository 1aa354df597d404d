import { readFileSync } from 'node:fs';

const FENCED = /^```sh\n(.*?)^```$/gms;

/** A command of the README as a shell takes it, and the output that the README shows. */
export interface Step {
  readonly command: string;
  /** Comment lines below the command. `…` matches anything. */
  readonly prints: readonly string[];
}

/** The text below a heading, up to the next heading of its level. */
export function sectionOf(heading: string, document = 'README.md'): string {
  const text = readFileSync(new URL(`../../${document}`, import.meta.url), 'utf8');
  const [, section] = text.split(`\n## ${heading}\n`);
  if (section === undefined) throw new Error(`${document} has no section "${heading}".`);
  return section.split('\n## ')[0] ?? '';
}

/** The steps in the fenced `sh` blocks of a text, block by block. */
export function stepsIn(text: string): Step[][] {
  return [...text.matchAll(FENCED)].map(([, block = '']) => stepsOf(block));
}

/** The commands in single backticks, as in table cells, that begin with these words. */
export function inlineCommands(text: string, beginning: string): string[] {
  const prose = text.replaceAll(FENCED, '');
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code).filter((code) => code.startsWith(beginning));
}

/** The pattern for a line of the README: `…` matches anything, a duration any other duration. */
export function patternOf(printed: string): RegExp {
  const escaped = printed.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('…', '.+').replaceAll(/\d+ ms/g, '\\d+ ms')}$`, 'm');
}

/** The answer that a curl command of the README shows: its status and its fields. */
export function answerIn({ command, prints }: Step): { readonly status: string | null; readonly keys: string[] } {
  const shown = prints[0] ?? /# (\d{3} .*)/.exec(command)?.[1] ?? '';
  return {
    status: /^\d{3}/.exec(shown)?.[0] ?? null,
    keys: [...shown.matchAll(/"(\w+)":/g)].map(([, key = '']) => key),
  };
}

function stepsOf(block: string): Step[] {
  const steps: { command: string; prints: string[] }[] = [];
  for (const line of block
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((each) => each.trim() !== '')) {
    if (line.startsWith('# ')) steps.at(-1)?.prints.push(line.slice(2));
    else steps.push({ command: line, prints: [] });
  }
  return steps;
}
