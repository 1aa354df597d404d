import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CommandError, EXIT } from '../errors.js';
import { isRecord } from '../json.js';

/** The gateway's API, as its admin. */
export interface Api {
  readonly url: string;
  /** The answer's body. @throws CommandError: refused, out of reach, or interrupted */
  call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T>;
  /** All pages of a list, one after the other. */
  list<T>(path: string): Promise<T[]>;
}

export interface Access {
  readonly url: string;
  readonly token: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_URL = 'http://127.0.0.1:8080';
const LONGEST_ANSWER_MS = 120_000;
const MOST_OF_PAGE = 500;

/** Where the gateway is: the option, else GATEWAY_URL, else this machine. @throws CommandError (it is no URL) */
export function gatewayUrl(option: string | undefined, env: Environment): string {
  const named = option ?? env['GATEWAY_URL']?.trim() ?? '';
  const url = named === '' ? DEFAULT_URL : named;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new CommandError(EXIT.usage, `The gateway's URL "${url}" must begin with http:// or https://.`);
  }
  return url.replace(/\/+$/, '');
}

/** The file that the gateway keeps its admin token in, beside its database. */
export function tokenFileOf(env: Environment): string {
  const database = /^sqlite:(.+)$/.exec(env['DATABASE_URL']?.trim() ?? '')?.[1];
  return join(database === undefined ? 'data' : dirname(database), 'admin-token');
}

/** The option's file, else ADMIN_TOKEN, else the file beside the database. @throws CommandError (there is none) */
export function adminToken(file: string | undefined, env: Environment): string {
  const token = foundToken(file, env);
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  // Not quoted: it may be another secret.
  throw new CommandError(
    EXIT.usage,
    'Invalid admin token: it must be one word of ASCII characters. Check ADMIN_TOKEN, or the token file.',
  );
}

function foundToken(file: string | undefined, env: Environment): string {
  const fromEnvironment = env['ADMIN_TOKEN']?.trim();
  if (file === undefined && fromEnvironment) return fromEnvironment;
  const path = file ?? tokenFileOf(env);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new CommandError(
      EXIT.usage,
      `No admin token: ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}). ` +
        'Run this where the gateway has its data, set ADMIN_TOKEN, or name the file with --token-file.',
    );
  }
}

export function createApi({ url, token }: Access, signal: AbortSignal): Api {
  const call: Api['call'] = async <T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> => {
    const response = await send(url + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(LONGEST_ANSWER_MS)]),
    });
    const answer = parsed(response.text);
    const isOurs = response.status === 204 || isRecord(answer);
    if (!response.ok || !isOurs) throw apiError(response, answer, url);
    return answer as T;
  };

  const send = async (target: string, init: RequestInit): Promise<{ ok: boolean; status: number; text: string }> => {
    try {
      const response = await fetch(target, init);
      return { ok: response.ok, status: response.status, text: await response.text() };
    } catch (error) {
      if (signal.aborted) throw new CommandError(EXIT.interrupted, 'Interrupted.');
      const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
      throw new CommandError(
        EXIT.unreachable,
        `The gateway cannot be reached at ${url} (${cause?.code ?? cause?.message ?? (error as Error).message}). ` +
          'Start it with "serve", or name it with --gateway or GATEWAY_URL.',
      );
    }
  };

  return {
    url,
    call,
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

interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

function apiError({ status }: { status: number }, body: unknown, url: string): CommandError {
  if (status === 401) {
    return new CommandError(EXIT.failed, `The gateway at ${url} does not know this admin token. See --token-file.`);
  }
  const { code, detail, errors = [] } = (isRecord(body) ? body : {}) as Problem;
  if (code === undefined || detail === undefined) {
    return new CommandError(EXIT.failed, `What answers at ${url} is no gateway: HTTP status ${status}.`);
  }
  const more = errors.slice(1).map(({ path, message }) => `\n  ${path} ${message}`);
  // 503: it takes no work for now, which is as if it were not there.
  return new CommandError(status === 503 ? EXIT.unreachable : EXIT.failed, `${code}: ${detail}${more.join('')}`);
}
