import { describe, expect, it } from 'vitest';
import { barOf } from '../../src/cli/progress.js';
import { widthOf } from '../../src/cli/terminal.js';

const PROGRESS = {
  ...{ done: 516, total: 1200, unit: 'messages', etaSeconds: 1080 },
  words: '684 queued, 512 restored, 4 failed',
};

describe('a progress bar', () => {
  it.each([
    [99, '[##########..............]  43%  516/1200  ETA 18 min  684 queued, 512 restored, 4 failed'],
    [79, '[########...........]  43%  516/1200  ETA 18 min  684 queued, 512 restored, 4 …'],
    [49, '[#####.......]  43%  516/1200  ETA 18 min  684 q…'],
    [39, '[###......]  43%  516/1200  ETA 18 min'],
    [29, '[###....]  43%  516/1200'],
    [19, ' 43%  516/1200'],
    [8, ' 43%  5…'],
  ])('of at most %i columns keeps the numbers', (width, line) => {
    expect(barOf(PROGRESS, width)).toBe(line);
  });

  it.each([[0], [600], [1200]])('fits into every width (%i done)', (done) => {
    for (let width = 1; width <= 120; width += 1)
      expect(widthOf(barOf({ ...PROGRESS, done }, width))).toBeLessThanOrEqual(width);
  });
});
