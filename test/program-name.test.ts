import { expect, it } from 'vitest';
import { programName } from '../src/program-name.js';
import { startCli } from './support/cli.js';

const CLONE = '/home/ada/whapi-resync-gateway/dist';
const CACHE = '/home/ada/.npm/_npx/7da7518f47ffac9d/node_modules';

it.each([
  ['npx', `${CACHE}/.bin/whapi-resync-gateway`, 'npx', 'npx whapi-resync-gateway'],
  [
    'npx on Windows',
    'C:\\npm-cache\\_npx\\7d\\node_modules\\whapi-resync-gateway\\dist\\cli.js',
    'npx',
    'npx whapi-resync-gateway',
  ],
  ['npx with a global install', '/usr/local/bin/whapi-resync-gateway', 'npx', 'npx whapi-resync-gateway'],
  ['a local install', '/srv/bots/node_modules/.bin/whapi-resync-gateway', undefined, 'npx whapi-resync-gateway'],
  [
    "a script of the user's own project",
    '/srv/bots/node_modules/.bin/whapi-resync-gateway',
    'cli',
    'npx whapi-resync-gateway',
  ],
  ['a global install', '/usr/local/bin/whapi-resync-gateway', undefined, 'whapi-resync-gateway'],
  ['a global install, from a script', '/usr/local/bin/whapi-resync-gateway', 'cli', 'whapi-resync-gateway'],
  [
    'a global install on Windows',
    'C:\\npm\\node_modules\\whapi-resync-gateway\\dist\\cli.js',
    undefined,
    'whapi-resync-gateway',
  ],
  ['npm run cli in a clone', `${CLONE}/cli.js`, 'cli', 'npm run -s cli --'],
  ['npm start in a clone', `${CLONE}/main.js`, 'start', 'npx whapi-resync-gateway'],
  ['npm run simulate in a clone', `${CLONE}/simulate.js`, 'simulate', 'npx whapi-resync-gateway'],
  ['node in a container', '/app/dist/main.js', undefined, 'whapi-resync-gateway'],
  ['a program that an npm script starts', `${CLONE}/cli.js`, 'test', 'whapi-resync-gateway'],
  ['an unknown way', undefined, undefined, 'whapi-resync-gateway'],
])('hints name the command as it was called: by %s', (_, path, npmScript, name) => {
  expect(programName({ path, npmScript })).toBe(name);
});

it('the usage and the examples of a command carry that name', async () => {
  const { stdout } = await startCli(['resync', '--help'], { env: { npm_lifecycle_event: 'cli' } }).ended;
  expect(stdout).toContain('Usage: npm run -s cli -- resync');
  expect(stdout).toMatch(/\$ npm run -s cli -- resync p\./);
  expect(stdout).toMatch(/\| npm run -s cli -- resync -$/m);
});
