import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { usesPostgres } from '../config.js';
import type { Problem } from '../contract/problem.js';
import { CommandError, usageError } from '../errors.js';
import { isRecord } from '../json.js';
import { PROGRAM_NAME } from '../program-name.js';
import { printableValue } from '../printable.js';
import { quoted } from '../quoted.js';
import { faultOf, hide, hideIn, secretsIn, unreadable } from './secrets.js';

/** The gateway's API, as its admin. */
export interface Api {
  readonly url: string;
  /** The response body. @throws CommandError (refused, unreachable or interrupted) */
  call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T>;
  /** An answer of any kind. `body` is JSON. @throws as `call` */
  request(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<Reply>;
  /** The text of an answer that has no end, as it comes. @throws as `call`, also in the middle of it */
  stream(path: string, headers: Record<string, string>): AsyncIterable<string>;
  /** All pages of a list, one after the other. */
  list<T>(path: string): Promise<T[]>;
}

export interface Reply {
  readonly status: number;
  readonly text: string;
}

export interface Access {
  readonly url: string;
  readonly token: string;
  /** What to do if the gateway refuses the token. */
  readonly advice: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_URL = 'http://127.0.0.1:8080';
const LONGEST_ANSWER_MS = 120_000;
const MOST_OF_PAGE = 500;
/** What a proxy answers if it reaches no gateway that is ready. */
const OF_A_PROXY: ReadonlySet<number> = new Set([502, 503, 504]);

/** The gateway's URL: the option, else GATEWAY_URL, else the default. @throws CommandError (not a URL) */
export function gatewayUrl(option: string | undefined, env: Environment): string {
  const named = option ?? env['GATEWAY_URL']?.trim() ?? '';
  const url = named === '' ? DEFAULT_URL : named;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    const name = option === undefined ? 'GATEWAY_URL' : '--gateway';
    throw usageError(
      `Invalid ${name} ${quoted(url)}: expected an http:// or https:// URL, for example ${DEFAULT_URL}.`,
    );
  }
  const { username, password, search, hash } = new URL(url);
  if (search !== '' || hash !== '') {
    throw usageError(`The gateway's URL has a query or a fragment: remove it, for example ${DEFAULT_URL}.`);
  }
  if (username !== '' || password !== '') {
    throw usageError(`The gateway's URL contains a user name or password: remove it, for example ${DEFAULT_URL}.`);
  }
  return url.replace(/\/+$/, '');
}

/** The file that the gateway keeps its admin token in, beside its database. */
export function tokenFileOf(env: Environment): string {
  const database = /^sqlite:(.+)$/.exec(env['DATABASE_URL']?.trim() ?? '')?.[1];
  return join(database === undefined ? 'data' : dirname(database), 'admin-token');
}

/** The admin token: from the option's file, else ADMIN_TOKEN, else the file beside the database. @throws CommandError */
export function adminToken(file: string | undefined, env: Environment): string {
  const token = foundToken(file, env);
  const fault = faultOf(token);
  if (fault === null) return token;
  // Not quoted: it may be another secret.
  throw new CommandError(
    'GW_NO_ADMIN_TOKEN',
    `Invalid admin token: ${fault}. Check ${file === undefined ? 'ADMIN_TOKEN or the file admin-token' : 'the file of --token-file'}.`,
  );
}

function foundToken(file: string | undefined, env: Environment): string {
  const fromEnvironment = env['ADMIN_TOKEN']?.trim();
  if (file === undefined && fromEnvironment) return fromEnvironment;
  // A file of this folder would be that of another gateway, on SQLite.
  if (file === undefined && usesPostgres(env)) {
    throw new CommandError(
      'GW_NO_ADMIN_TOKEN',
      'ADMIN_TOKEN is not set, and a gateway on PostgreSQL keeps no token file. Set it to the value that the gateway has, or ' +
        'name a file that holds it with --token-file.',
    );
  }
  const path = file ?? tokenFileOf(env);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (file !== undefined) throw new CommandError('GW_NO_ADMIN_TOKEN', unreadable('--token-file', code));
    throw new CommandError(
      'GW_NO_ADMIN_TOKEN',
      `No admin token: cannot read ${path} (${code ?? 'unknown error'}). Run the command in ` +
        "the gateway's folder, set ADMIN_TOKEN, or name the file with --token-file.",
    );
  }
}

export function createApi({ url, token, advice }: Access, signal: AbortSignal): Api {
  /** What failed on the way to the gateway, or back. */
  const broken = (error: unknown): CommandError => {
    if (signal.aborted) return new CommandError('GW_INTERRUPTED', 'Interrupted.');
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    return new CommandError(
      'GW_UNREACHABLE',
      `Cannot reach the gateway at ${url} (${hide(cause?.code ?? cause?.message ?? (error as Error).message, [token])}). ` +
        `Start it with "${PROGRAM_NAME} serve", or set its URL with --gateway or GATEWAY_URL.`,
    );
  };

  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const headers = { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) };
    return await fetch(url + path, { ...init, headers }).catch((error: unknown) => {
      throw broken(error);
    });
  };

  const textOf = async (response: Response): Promise<string> =>
    await response.text().catch((error: unknown) => {
      throw broken(error);
    });

  const failure = (response: Response, text: string, secrets: readonly string[] = []): CommandError =>
    hideIn(apiError(response, printableValue(parsed(text)), url, advice), [token, ...secrets]);

  const exchange = async (
    method: string,
    path: string,
    body: string | undefined,
    headers: Record<string, string>,
  ): Promise<{ response: Response; text: string }> => {
    const response = await send(path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(LONGEST_ANSWER_MS)]),
    });
    return { response, text: await textOf(response) };
  };

  const request: Api['request'] = async (method, path, body, headers = {}) => {
    const { response, text } = await exchange(method, path, body, headers);
    const secrets = [...secretsIn(parsed(body ?? '')), ...secretsIn({ headers })];
    if (!response.ok) throw failure(response, text, secrets);
    return { status: response.status, text };
  };

  const call: Api['call'] = async <T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> => {
    const json = body === undefined ? undefined : JSON.stringify(body);
    const { response, text } = await exchange(method, path, json, headers);
    const answer = printableValue(parsed(text));
    const isOurs = response.status === 204 || isRecord(answer);
    if (!response.ok || !isOurs) throw failure(response, text, secretsIn(body));
    return answer as T;
  };

  const stream = async function* (path: string, headers: Record<string, string>): AsyncGenerator<string> {
    const response = await send(path, { headers, signal });
    if (!response.ok || response.body === null) throw failure(response, await textOf(response));
    try {
      yield* response.body.pipeThrough(new TextDecoderStream());
    } catch (error) {
      throw broken(error);
    }
  };

  return {
    url,
    call,
    request,
    stream,
    list: async <T>(path: string): Promise<T[]> => {
      const data: T[] = [];
      let cursor: string | null = null;
      do {
        const query = `${path.includes('?') ? '&' : '?'}limit=${MOST_OF_PAGE}`;
        const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
        const page: { data: T[]; next_cursor: string | null } = await call('GET', `${path}${query}${after}`);
        data.push(...page.data);
        cursor = page.next_cursor;
      } while (cursor !== null);
      return data;
    },
  };
}

function parsed(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function apiError({ status }: { status: number }, body: unknown, url: string, advice: string): CommandError {
  const { code, detail, errors = [] } = (isRecord(body) ? body : {}) as Partial<Problem>;
  if (code === undefined || detail === undefined) {
    if (OF_A_PROXY.has(status)) {
      const message = `No gateway answers behind ${url}: it answered with HTTP status ${status}, as a proxy does. Check that the gateways run, and what their /readyz says.`;
      return new CommandError('GW_UNREACHABLE', message);
    }
    return new CommandError(
      'GW_NOT_A_GATEWAY',
      `${url} does not look like a gateway: it answered with HTTP status ${status}. Check --gateway or GATEWAY_URL.`,
    );
  }
  if (status !== 401) return new CommandError(code, detail, errors);
  return new CommandError(code, `The gateway at ${url} does not accept this admin token. ${advice}`);
}
