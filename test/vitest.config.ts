import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/dashboard/chromium.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Two test files at a time: the machine that runs them may have two cores, and many tests start real processes.
    maxWorkers: 2,
  },
});
