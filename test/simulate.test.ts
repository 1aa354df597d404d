import { expect, it } from 'vitest';
import { startCli } from './support/cli.js';

it.each([
  ['--port', '70000', 'Invalid --port "70000": use a number from 0 to 65535.'],
  ['--time-scale', 'fast', 'Invalid --time-scale "fast": use a number from 0.01 to 1000000.'],
  [
    '--webhook-url',
    'localhost:8080',
    'Invalid --webhook-url "localhost:8080": use a URL such as http://127.0.0.1:8080/webhooks/demo.',
  ],
])('simulate names a wrong %s, and what to use', async (option, value, text) => {
  const { code, stderr } = await startCli(['simulate', option, value]).ended;
  expect({ code, first: stderr.split('\n')[0] }).toEqual({ code: 2, first: text });
});

it('simulate prints the next commands as the reader has to type them', async () => {
  const run = startCli(['simulate', '--port', '0'], { env: { npm_lifecycle_event: 'cli' } });
  await run.written('Press Ctrl-C');
  expect(run.text()).toMatch(/^ {3}npm run -s cli -- serve$/m);
  expect(run.text()).toMatch(/WHAPI_TOKEN=simulated-token npm run -s cli -- channels add demo --whapi-base-url http/);
  run.kill('SIGTERM');
  expect((await run.ended).code).toBe(0);
});
