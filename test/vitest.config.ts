import { defineConfig } from 'vitest/config';
import { LongestFirst } from './support/longest-first.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/dashboard/chromium.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Two test files at a time: the machine that runs them may have two cores, and many tests start real processes.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // The files of a worker share the program's modules. Loading and compiling them for each file took a fifth of the time.
    isolate: false,
    restoreMocks: true,
  },
});
