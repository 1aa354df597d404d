import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Phrases that a reader stumbles over, each with plain words for it. */
const PHRASES: readonly (readonly [stilted: RegExp, plain: string])[] = [
  [/\bnobody\b/i, 'no one, or say who does not'],
  [/\bwhoever\b/i, 'the caller, the client, anyone who'],
  [/\bsomebody else\b/i, 'another client, someone else'],
  [/\bso many\b/i, 'a number, or "this many"'],
  [/\bin vain\b/i, 'without a result'],
  [/\bin trouble\b/i, 'failing'],
  [/\b(is|was|are) well( again)?\b/i, 'healthy, closed'],
  [/\b(is|are|was|were) to be\b/i, 'must be, will be'],
  [/\b(brings?|brought) about\b/i, 'causes, starts'],
  [/\bas it should be\b/i, 'valid'],
  [/\blook(s|ed)? again\b/i, 'polls, checks again'],
  [/\bfailed permanently\b/i, 'dead'],
];
/** A bare pattern or a JSON pointer says nothing to a reader. */
const VALIDATOR_WORDS = /must match pattern|must be equal to one of|must NOT have/;

const filesIn = (folder: string, recursive: boolean, ending: RegExp): string[] =>
  readdirSync(ROOT + folder, { recursive, encoding: 'utf8' })
    .filter((path) => ending.test(path))
    .map((path) => folder + path);
const linesOf = (path: string): string[] => readFileSync(ROOT + path, 'utf8').split('\n');

/** `file:line` of each line in which the phrase stands. */
function places(paths: readonly string[], phrase: RegExp): string[] {
  return paths.flatMap((path) =>
    linesOf(path).flatMap((line, index) => (phrase.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe('the text of the program and its documents', () => {
  const read = [
    ...filesIn('src/', true, /\.(tsx?|html)$/),
    ...filesIn('', false, /\.md$/),
    ...filesIn('docs/', true, /\.(md|json)$/),
  ];

  it.each(PHRASES)('has no %s, but plain words (%s)', (stilted) => {
    expect(places(read, stilted)).toEqual([]);
  });

  it('never repeats the words of the validator', () => {
    const ours = read.filter((path) => !path.startsWith('src/simulator/')); // Whapi itself speaks like that
    expect(places(ours, VALIDATOR_WORDS)).toEqual([]);
  });

  it('is found', () => {
    expect(read.length).toBeGreaterThan(100);
  });
});
