import { describe, expect, it } from 'vitest';
import { shortened, table, widthOf } from '../../src/cli/terminal.js';

const HEAD = ['ID', 'NAME', 'URL', 'STATE'];
const ID = 'tgt_x4JbQm0Vn2RkLs8TzYcD';
const ROWS = [
  [ID, 'bot', `https://bot.example.com/${'a'.repeat(80)}`, 'enabled'],
  ['tgt_A1b2C3d4E5f6G7h8I9j0', 'a bot with a rather long name of forty', 'http://127.0.0.1:3000/hook', 'disabled'],
];

const linesOf = (text: string): string[] => text.trimEnd().split('\n');
const widest = (text: string): number => Math.max(...linesOf(text).map(widthOf));

describe('a table', () => {
  it('is as wide as its cells where there is no terminal', () => {
    const lines = linesOf(table(HEAD, ROWS));
    expect(lines[1]).toBe(`${ROWS[0]?.slice(0, 1).join('')}  bot${' '.repeat(35)}  ${ROWS[0]?.[2] ?? ''}  enabled`);
    expect(lines.join('\n')).not.toContain('…');
  });

  it.each([50, 60, 80, 100, 120])('fits into %i columns, one line per row, with whole ids', (columns) => {
    const text = table(HEAD, ROWS, columns);
    expect([linesOf(text).length, widest(text) <= columns]).toEqual([3, true]);
    for (const [id = ''] of ROWS) expect(text).toContain(id);
  });

  it.each(['dlv_107o5e9spa9', 'itm_107o5e9spa9_0', '107o5e9spa8'])('never shortens %s, whatever its title', (id) => {
    expect(table(['ITEM', 'WHY'], [[id, 'a long reason, '.repeat(9)]], 28)).toContain(`${id}  `);
  });

  it('shortens the widest column first', () => {
    const [, first = '', second = ''] = linesOf(table(HEAD, ROWS, 160));
    expect(first).toMatch(/ {2}https:\/\/bot\.example\.com\/a+… {2}enabled$/);
    expect(second).toContain('a bot with a rather long name of forty  http://127.0.0.1:3000/hook ');
  });

  it.each([20, 30, 45])('lists its cells below each other where %i columns are too few', (columns) => {
    const text = table(HEAD, ROWS, columns);
    const tooWide = linesOf(text).filter((line) => widthOf(line) > columns);
    expect(tooWide.every((line) => /^ID +tgt_\w{20}$/.test(line))).toBe(true);
    expect(linesOf(text).filter((line) => line.startsWith('ID '))).toEqual(ROWS.map(([id = '']) => `ID     ${id}`));
    expect(text.split('\n\n').length).toBe(2);
  });

  it('counts wide characters as two columns, and letters with their marks as one', () => {
    expect(['bot', '漢字', '🛒', 'e\u0301', '👩\u200d💻'].map(widthOf)).toEqual([3, 4, 2, 1, 2]);
    expect([shortened('漢字漢字', 5), shortened('abc', 3), shortened('abcd', 3)]).toEqual(['漢字…', 'abc', 'ab…']);
    const lines = linesOf(table(['NAME', 'STATE'], [['漢字🛒', 'on'], ['bot', 'off']])); // prettier-ignore
    expect(lines).toEqual(['NAME    STATE', '漢字🛒  on', 'bot     off']);
  });

  it('takes as many rows as a list has', () => {
    const rows = Array.from({ length: 200_000 }, (_each, index) => [String(index)]);
    expect(table(['N'], rows, 80).length).toBe(rows.join('\n').length + 3);
  });
});
