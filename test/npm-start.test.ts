import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from './support/files.js';

it('npm start forwards SIGTERM to the gateway, which finishes its work and exits', async () => {
  const env = { ...process.env, PORT: '0', DATABASE_URL: `sqlite:${join(temporaryFolder(), 'gateway.db')}` };
  const npm = spawn('npm', ['start'], { cwd: fileURLToPath(new URL('..', import.meta.url)), env });
  onTestFinished(() => void npm.kill('SIGKILL'));
  const closed = once(npm, 'close'); // Once the last process that holds its output has ended.
  const events: unknown[] = [];
  for await (const line of createInterface({ input: npm.stdout })) {
    if (!line.startsWith('{')) continue;
    const { msg } = JSON.parse(line) as { msg: string };
    events.push(msg);
    if (msg === 'listening') npm.kill('SIGTERM');
  }
  await closed;
  expect(events.at(-1)).toBe('stopped');
});
