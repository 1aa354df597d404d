import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableJson, printableLines, printableValue } from '../src/printable.js';
import { UNPRINTABLE } from './support/hostile.js';

const code = (character: number): string => String.fromCharCode(character);
const range = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, at) => code(from + at));
const CONTROLS = [...range(0, 0x1f), ...range(0x7f, 0x9f)];
const BIDI = ['\u061c', '\u200e', '\u200f', ...range(0x202a, 0x202e), ...range(0x2066, 0x2069)];

describe('words of others', () => {
  it.each([...CONTROLS, ...BIDI, '\u2028', '\u2029'])('show %j as U+FFFD', (character) => {
    expect(printable(`a${character}b`)).toBe('a\ufffdb');
  });

  it('keep everything else: scripts, emojis, joiners and zero-width characters', () => {
    const text = 'Grüße, שלום, مرحبا, नमस्ते, 👩‍👩‍👧, a\u200bb\u00ad\ufeff';
    expect(printable(text)).toBe(text);
    expect(printableLines(`${text}\r\n\t`)).toBe(`${text}\r\n\t`);
    expect(printableLines('a\rb')).toBe('a\ufffdb');
  });

  it('are shortened, without half a character at the end', () => {
    expect(printable('abcdef', 4)).toBe('abc…');
    expect(printable('abcd', 4)).toBe('abcd');
    expect(printable('ab😀cd', 4)).toBe('ab…');
  });

  it('are made printable in names and values, at any depth, except for the body of a webhook', () => {
    const value = {
      'a\u001b': ['\u202e', { b: '\u0000\n', message_id: 'i'.repeat(2000) }],
      body: '\u202e',
      n: 1,
      z: null,
    };
    expect(printableValue(value)).toEqual({
      'a\ufffd': ['\ufffd', { b: '\ufffd\ufffd', message_id: `${'i'.repeat(1023)}…` }],
      ...{ body: '\u202e', n: 1, z: null },
    });
  });

  it('never leave an unprintable character, and JSON stays equal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.toMatch(UNPRINTABLE);
        const json = printableJson(JSON.stringify({ text }));
        expect(json).not.toMatch(UNPRINTABLE);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});
