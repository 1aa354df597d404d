import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: process.env['DASHBOARD_TESTS'] === undefined ? ['test/dashboard/**'] : [], // until the gateway serves the page
    globalSetup: ['test/support/build.ts', 'test/support/dashboard/chromium.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Two test files at a time: the machine that runs them may have two cores, and many tests start real processes.
    maxWorkers: 2,
  },
});
