import { expect, it } from 'vitest';
import { createLogger } from '../src/logger.js';
import { expectPrintable, HOSTILE, UNPRINTABLE } from './support/hostile.js';

it('a log line has no unprintable character, in fields, errors or stacks, and no secret', () => {
  const lines: string[] = [];
  const log = createLogger('info', { write: (line) => void lines.push(line) });
  log.warn({ err: new Error(HOSTILE), reason: HOSTILE, target: { secret: 'hush', [HOSTILE]: [HOSTILE] } }, 'event');
  const [line = ''] = lines;
  expect(line.replace(/\n$/, '')).not.toMatch(UNPRINTABLE);
  const { err, ...fields } = JSON.parse(line) as { err: { message: string; stack: string } };
  expectPrintable(fields);
  expect(err.message).toContain('forged');
  expect(err.stack.replaceAll(/\r?\n/g, '')).not.toMatch(UNPRINTABLE);
  expect(line).not.toContain('hush');
});
