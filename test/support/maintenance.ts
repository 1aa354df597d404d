import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { cli } from './cli.js';
import type { CliEnded } from './cli.js';
import type { Client } from './client.js';
import { startProcess } from './process.js';
import type { GatewayProcess } from './process.js';
import { textWebhook } from './texts.js';

/** Runs `backup`, `restore` or `rekey` for the gateway in a folder. */
export async function maintain(
  folder: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<CliEnded> {
  return await cli([...args, '--json'], { env: { DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`, ...env } });
}

/** The same, when it must succeed: its report. */
export async function report(folder: string, ...args: string[]): Promise<Record<string, unknown>> {
  const ended = await maintain(folder, args);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ended.stdout) as Record<string, unknown>;
}

/** The same, when it must be refused: its exit code and error. */
export async function refusal(
  folder: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ exit: number | null; code: string; detail: string }> {
  const { code: exit, stdout, stderr } = await maintain(folder, args, env);
  expect(stdout).toBe('');
  return { exit, ...(JSON.parse(stderr) as { code: string; detail: string }) };
}

/** A gateway that has recorded these messages, and was stopped as `signal` does it. */
export async function stoppedGateway(
  ids: readonly string[],
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<GatewayProcess> {
  const gateway = await startProcess();
  await gateway.client.addChannel();
  for (const id of ids) expect((await gateway.client.webhook(textWebhook(id))).status).toBe(200);
  await gateway.end(signal);
  return gateway;
}

/** A folder for a second gateway that has the encryption key of the first. */
export function folderWithKeyOf(folder: string, name: string): string {
  const other = join(folder, name);
  mkdirSync(other);
  copyFileSync(join(folder, 'encryption-key'), join(other, 'encryption-key'));
  return other;
}

/** What the gateway says of messages that it knows, or does not know: `duplicate`, `new`. */
export async function verdictsOf({ webhook }: Pick<Client, 'webhook'>, ids: readonly string[]): Promise<string[]> {
  return await Promise.all(ids.map(async (id) => Object.keys((await webhook(textWebhook(id))).body.verdicts).join()));
}

/** Every file of a folder with its content, to see that nothing was changed. */
export function contentOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(files.map(({ name }) => [name, readFileSync(join(folder, name), 'latin1')]));
}
