import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import { startShell } from './cli.js';
import type { CliEnded } from './cli.js';
import { temporaryFolder } from './files.js';
import { startOneRouteBot } from './one-route-bot.js';
import type { OneRouteBot } from './one-route-bot.js';
import { startProcess } from './process.js';
import type { GatewayProcess } from './process.js';
import { patternOf } from './readme.js';
import type { Step } from './readme.js';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** A resync call takes 75 ms, and the message is back after 0.3 s. */
const TIME_SCALE = 200;

/** The starting point of the README's quick start: a channel at Whapi, a bot, and a running gateway. */
export interface QuickStart {
  readonly whapi: Simulator;
  readonly bot: OneRouteBot;
  readonly gateway: GatewayProcess;
  /**
   * Runs a command of a document with its placeholders filled in. It must exit with 0, or with `code`, and print what the
   * document says.
   */
  follow(step: Step, code?: number): Promise<CliEnded>;
}

/**
 * @param route the only path that accepts messages
 * @param environment what stands before the commands, for another engine than SQLite
 */
export async function startQuickStart(route: string, environment: Record<string, string> = {}): Promise<QuickStart> {
  const folder = temporaryFolder();
  const whapi = await startSimulator({ timeScale: TIME_SCALE });
  onTestFinished(async () => await whapi.close());
  mkdirSync(join(folder, 'data'));
  const gateway = await startProcess({ WHAPI_BASE_URL: whapi.url, ...environment }, join(folder, 'data'));
  const bot = await startOneRouteBot({ route, apiUrl: `${gateway.client.url}/whapi`, token: whapi.token });
  const path = programsIn(folder);
  const fillIn = (text: string): string =>
    text
      .replaceAll('YOUR-WHAPI-TOKEN', whapi.token)
      .replaceAll('$(cat data/admin-token)', 'ADMIN_TOKEN' in environment ? '$ADMIN_TOKEN' : '$(cat data/admin-token)')
      .replaceAll('http://127.0.0.1:3000', bot.url)
      .replaceAll('http://127.0.0.1:8080', gateway.client.url)
      .replaceAll('https://where-this-gateway-is-reached.example', gateway.client.url);
  return {
    ...{ whapi, bot, gateway },
    follow: async ({ command, prints }, code = 0) => {
      const env = { ...environment, PATH: path, GATEWAY_URL: gateway.client.url };
      const ended = await startShell(fillIn(command), { env, cwd: folder }).ended;
      expect({ command, ...ended }).toMatchObject({ code });
      for (const line of prints) expect(ended.stdout).toMatch(patternOf(line));
      return ended;
    },
  };
}

/**
 * A PATH with an `npx` that finds only this repository's program, from any folder, and with a `curl` that prints the
 * status below the answer.
 */
function programsIn(folder: string): string {
  const bin = join(folder, 'bin');
  const others = process.env['PATH'] ?? '';
  mkdirSync(bin);
  const programs = {
    npx: `[ "$1" = whapi-resync-gateway ] || exit 127; shift; exec '${process.execPath}' '${CLI}' "$@"`,
    curl: `PATH='${others}' exec curl --silent --show-error --write-out '\\n%{http_code}\\n' "$@"`,
  };
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return `${bin}:${others}`;
}
