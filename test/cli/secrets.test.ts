import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import { systemEffects } from '../../src/effects.js';
import { startApi } from '../support/api.js';
import { accessTo } from '../support/cli.js';
import { temporaryFolder } from '../support/files.js';
import { listening } from '../support/sockets.js';

/** Tokens and secrets as they are made, and one that has no such shape. */
const SHAPED = [
  'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
  'Fh3LpQ2xZk8TnV6cRb1YwJ9sDm4GuA7e',
  '5f1c0a9be27d4463a8c1f0d2b7e95a3c41d08e6f7b2a9c10',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
];
const PLAIN = 'hush-a-plain-secret';

interface Ran {
  readonly code: number | null;
  readonly text: string;
}

async function run(args: readonly string[], env: Record<string, string> = {}, stdin = ''): Promise<Ran> {
  let text = '';
  const add = (more: string): void => void (text += more);
  const { signal } = new AbortController();
  const terminal = { env, stdin: Readable.from([stdin]), write: add, tell: add, columns: () => null, signal };
  const none = async (): Promise<never> => await Promise.reject(new Error('not part of this test'));
  const code = await runCommandLine(args, { ...terminal, effects: systemEffects }, none, none);
  return { code, text };
}

/** A gateway that repeats the whole request in an error, and counts requests. */
async function startParrot(): Promise<{ readonly url: string; readonly requests: () => number }> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const detail = `No: ${request.headers.authorization ?? ''} ${request.url ?? ''} ${body}`;
      response
        .writeHead(400)
        .end(JSON.stringify({ code: 'GW_BAD_REQUEST', detail, errors: [{ path: '/x', message: detail }] }));
    });
  });
  const { port } = await listening(server);
  return { url: `http://127.0.0.1:${port}`, requests: () => requests };
}

/** Command lines with a secret in a wrong place. A plain one is hidden where the option's name says what it is. */
function misplaced(secret: string): string[][] {
  return [
    ['--token', secret, 'channels', 'list'],
    [`--token=${secret}`, 'channels', 'list'],
    ['channels', 'list', `--token=${secret}`],
    ['channels', 'list', '--token', secret],
    ['channels', 'list', `-t${secret}`],
    ['channels', 'list', `--admin-token=${secret}\n${secret}`],
    ['channels', 'list', secret],
    ['channels', 'list', '--token-file', secret],
    ['channels', 'add', 'shop', `--whapi-token=${secret}`],
    ['channels', 'add', 'shop', '--whapi-token', secret],
    ['channels', 'add', 'shop', '--whapi-token-file', secret],
    ['channels', 'connect', 'main', `--webhook-secret=${secret}`],
    ['channels', 'list', '--gateway', `http://127.0.0.1:9/?token=${secret}`],
    ['channels', 'list', '--gateway', `http://127.0.0.1:9/#${secret}`],
    ['channels', 'list', '--gateway', `http://${secret}@127.0.0.1:9`],
    ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--secret', secret],
    ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--secret-file', secret],
    ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--header', secret],
    ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--header', `x: ${secret}`, '--mode', 'foo'],
  ];
}

/** Places where any text would be right, so that only the shape tells. */
function inValues(secret: string): string[][] {
  return [
    [secret],
    ['channels', secret],
    ['channels', 'add', `${secret}!`],
    ['channels', 'remove', secret],
    ['channels', 'list', `--${secret}`],
    ['channels', 'list', '--gateway', secret],
    ['targets', 'add', 'bot', secret],
    ['targets', 'add', 'bot', `http:${secret}`],
    ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--mode', secret],
    ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--timeout-ms', secret],
    ['targets', 'test', secret],
    ['held', '--since', secret],
    ['held', '--verdict', secret],
    ['explain', secret],
  ];
}

describe('a secret in a wrong place of a command line', () => {
  it.each([...SHAPED, PLAIN])('is not repeated: %s', async (secret) => {
    const env = { ...accessTo(await startApi()), WHAPI_TOKEN: 'a-token' };
    const lines = [...misplaced(secret), ...(secret === PLAIN ? [] : inValues(secret))];
    for (const args of lines.flatMap((line) => [line, [...line, '--json']])) {
      const { code, text } = await run(args, env);
      expect([args, code !== 0, text.includes(secret)]).toEqual([args, true, false]);
    }
  });

  it.each([...SHAPED, PLAIN])('is not repeated by an error of the gateway that repeats it: %s', async (secret) => {
    const { url } = await startParrot();
    const file = join(temporaryFolder(), 'secret');
    writeFileSync(file, `${secret}\n`);
    for (const args of [
      ['channels', 'list', '--token-file', file],
      ['channels', 'add', 'shop', '--whapi-token-file', file],
      ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--secret-file', file],
      ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--header', `authorization: ${secret}`],
      ['channels', 'remove', secret],
    ]) {
      for (const more of [[], ['--json']]) {
        const env = { GATEWAY_URL: url, ADMIN_TOKEN: secret, WHAPI_TOKEN: secret };
        const { code, text } = await run([...args, ...more], env);
        expect([args, code, text.includes(secret), text.includes('No: ')]).toEqual([args, 2, false, true]);
      }
    }
  });
});

describe('a malformed secret', () => {
  it.each([
    ['hush hush', 'it contains a space'],
    ['hush\nhush', 'it has more than one line'],
    ['hush\u00e9', 'it contains characters that are not printable ASCII'],
    ['hush\u0000', 'it contains characters that are not printable ASCII'],
  ])('%j is exit code 2 before any request, and the error says that %s', async (secret, fault) => {
    const { url, requests } = await startParrot();
    const file = join(temporaryFolder(), 'secret');
    writeFileSync(file, secret);
    const env = { GATEWAY_URL: url, ADMIN_TOKEN: 'a-token' };
    for (const [args, more] of [
      [['channels', 'list'], { ADMIN_TOKEN: secret }],
      [['channels', 'list', '--token-file', file], {}],
      [['channels', 'add', 'shop'], { WHAPI_TOKEN: secret }],
      [['channels', 'add', 'shop', '--whapi-token-file', file], {}],
      [['targets', 'add', 'bot', 'http://127.0.0.1:9', '--secret-file', file], {}],
    ] as const) {
      const { code, text } = await run(args, { ...env, ...more });
      expect([args, code, text]).toEqual([args, 2, expect.stringContaining(fault)]);
      expect(text).not.toContain('hush');
    }
    expect(requests()).toBe(0);
  });

  it('that is empty is one too, also on standard input', async () => {
    const { url, requests } = await startParrot();
    const file = join(temporaryFolder(), 'secret');
    writeFileSync(file, ' \n');
    const env = { GATEWAY_URL: url, ADMIN_TOKEN: 'a-token' };
    for (const args of [
      ['channels', 'list', '--token-file', file],
      ['channels', 'add', 'shop', '--whapi-token-file', file],
      ['channels', 'add', 'shop', '--whapi-token-file', '-'],
      ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--secret-file', '-'],
    ])
      expect([args, (await run(args, env)).code]).toEqual([args, 2]);
    expect(requests()).toBe(0);
  });
});
