import { request as send } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

export interface PageAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** A page in a browser, as far as its requests go: Host, Origin and the cookies of its host. */
export interface Page {
  /** As `fetch` in the page sends it: with an Origin unless it is a GET. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<PageAnswer>;
  logIn(token: string): Promise<PageAnswer>;
  /** Every cookie that was set and not removed since, as the page's requests carry it. */
  cookie(): string;
  /** Another page of the same browser, at another origin: with the same cookies. */
  at(origin: string): Page;
}

/** A page at `origin` whose requests reach the gateway at `url`, whatever the name in the origin. */
export function openPage(url: string, origin = url, cookies = new Map<string, string>()): Page {
  const cookie = (): string => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const page: Page = {
    cookie,
    request: async (method, path, body, headers = {}) => {
      const text = body === undefined ? null : JSON.stringify(body);
      const answer = await exchange(new URL(path, url), method, text, {
        host: new URL(origin).host,
        ...(method !== 'GET' && { origin }),
        ...(cookies.size > 0 && { cookie: cookie() }),
        ...(text !== null && { 'content-type': 'application/json' }),
        ...headers,
      });
      for (const set of answer.headers['set-cookie'] ?? []) keep(cookies, set);
      return answer;
    },
    logIn: async (token) => await page.request('POST', '/session', { token }),
    at: (other) => openPage(url, other, cookies),
  };
  return page;
}

function keep(cookies: Map<string, string>, set: string): void {
  const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
  if (/max-age=0|expires=thu, 01 jan 1970/i.test(set)) cookies.delete(name);
  else cookies.set(name, value);
}

async function exchange(
  url: URL,
  method: string,
  body: string | null,
  headers: Record<string, string>,
): Promise<PageAnswer> {
  return await new Promise((resolve, reject) => {
    const out = send(url, { method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const isJson = (response.headers['content-type'] ?? '').includes('json');
        const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    out.on('error', reject);
    out.end(body);
  });
}
