import { signal } from '@preact/signals';
import type { Problem } from '../contract/problem.js';
import { queryText } from './routes.js';
import type { Query } from './routes.js';

/** The gateway's API, by the session's cookie. */

/** `null` until the gateway has said whether there is a session. */
export const loggedIn = signal<boolean | null>(null);

/** Why a request failed, in words to show. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly fields: readonly { readonly path: string; readonly message: string }[];

  constructor({ status, code, detail, errors = [] }: Omit<Problem, 'code' | 'title'> & { code: string }) {
    super(detail);
    this.status = status;
    this.code = code;
    this.fields = errors;
  }
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly next_cursor: string | null;
}

export type QueryValues = Readonly<Record<string, string | number | boolean | undefined>>;

export const get = async <T>(path: string, query: QueryValues = {}): Promise<T> =>
  await request<T>('GET', `${path}${queryText(texts(query))}`);
export const post = async <T>(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<T> =>
  await request<T>('POST', path, body, headers);
export const patch = async <T>(path: string, body: unknown): Promise<T> => await request<T>('PATCH', path, body);
export const remove = async (path: string): Promise<void> => await request('DELETE', path);

/** A path of the API with encoded parts: `path('v1/messages', channel, id)`. */
export const path = (base: string, ...parts: readonly string[]): string =>
  [base, ...parts.map(encodeURIComponent)].join('/');

function texts(query: QueryValues): Query {
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, value === undefined ? undefined : String(value)]),
  );
}

async function request<T>(
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  const answer = await send(url, {
    method,
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    credentials: 'same-origin',
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (answer.ok) return (text === '' ? null : JSON.parse(text)) as T;
  const problem = problemOf(text, answer);
  if (answer.status === 401 && url !== 'session') loggedIn.value = false;
  throw new ApiError(problem);
}

async function send(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options);
  } catch {
    const detail = 'The gateway does not answer. Check that it is running and that this machine can reach it.';
    throw new ApiError({ status: 0, code: 'NETWORK', detail });
  }
}

function problemOf(text: string, { status }: Response): Problem | { status: number; code: string; detail: string } {
  try {
    const parsed = JSON.parse(text) as Partial<Problem>;
    if (typeof parsed.detail === 'string' && typeof parsed.code === 'string') return parsed as Problem;
  } catch {
    // A proxy in between answered with a page of its own.
  }
  return { status, code: `HTTP_${status}`, detail: `The server answered with status ${status}.` };
}

export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function checkSession(): Promise<void> {
  try {
    await get('session');
    loggedIn.value = true;
  } catch (error) {
    // Any other failure is shown by the login form, which is tried again there.
    if (error instanceof ApiError) loggedIn.value = false;
    else throw error;
  }
}

/** The token was right, but the cookie did not come back: one that needs https does not work on a plain-http name. */
const COOKIE_REFUSED = {
  status: 401,
  code: 'COOKIE_REFUSED',
  detail:
    'The token is right, but the browser refused the cookie: open the dashboard under the PUBLIC_URL (https), or on ' +
    'http://127.0.0.1.',
};

export async function logIn(token: string): Promise<void> {
  await post('session', { token });
  await get('session').catch((error: unknown) => {
    throw error instanceof ApiError && error.status === 401 ? new ApiError({ ...COOKIE_REFUSED }) : error;
  });
  loggedIn.value = true;
}

export async function logOut(): Promise<void> {
  await remove('session');
  loggedIn.value = false;
}
