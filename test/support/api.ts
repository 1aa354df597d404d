import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { BotAnswer } from './bot.js';
import type { Answer, Client } from './client.js';
import { startLocal } from './gateway.js';
import type { LocalGateway, LocalOptions } from './gateway.js';
import { until } from './intervals.js';
import { listening } from './sockets.js';

export interface List<T> {
  readonly data: T[];
  readonly next_cursor: string | null;
}

export interface DeliveryJson {
  readonly id: string;
  readonly status: string;
  readonly target: string;
  readonly channel: string;
  readonly event: string;
  readonly verdicts: string[];
  readonly attempts: number;
  readonly created_at: string;
  readonly next_attempt_at: string | null;
  readonly waits_for: string | null;
  readonly settled_at: string | null;
  readonly last_error: string | null;
  readonly released: boolean;
  readonly webhook: string;
  readonly positions: number[];
  readonly bytes: number;
  readonly lanes: number;
  readonly waits_for_delivery: string | null;
  readonly expires_at: string | null;
}

export interface ResyncJson {
  readonly id: string;
  readonly channel: string;
  readonly status: string;
  readonly total: number;
  readonly counts: Record<string, number>;
  readonly pause: PauseJson | null;
  readonly rate_per_minute: number | null;
  readonly eta_seconds: number | null;
  readonly deliver_unseen: boolean;
  readonly window_seconds: number;
  readonly created_at: string;
  readonly finished_at: string | null;
}

export interface PauseJson {
  readonly code: string;
  readonly reason: string;
  readonly since: string;
  readonly next_check_at: string;
}

export interface ResyncMessageJson {
  readonly resync: string;
  readonly message_id: string;
  readonly status: string;
  readonly calls: number;
  readonly polls: number;
  readonly asked_at: string | null;
  readonly restored_at: string | null;
  readonly window_closes_at: string | null;
  readonly error: string | null;
}

export interface JobJson {
  readonly id: string;
  readonly kind: string;
  readonly status: string;
  readonly filter: Record<string, unknown>;
  readonly total: number;
  readonly done: number;
  readonly skipped: number;
  readonly rate_per_minute: number | null;
  readonly eta_seconds: number | null;
  readonly created_at: string;
  readonly finished_at: string | null;
}

/** A gateway with the channel `main`, whose Whapi is unreachable by default. */
export async function startApi(options: LocalOptions = {}): Promise<LocalGateway> {
  const gateway = await startLocal(options);
  await gateway.addChannel({ whapi_base_url: await unreachableUrl() });
  return gateway;
}

/** A URL on this machine that refuses connections. */
export async function unreachableUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return `http://127.0.0.1:${port}`;
}

/** A server that answers every request so, such as a proxy. */
export async function startAnswering(status: number, body: string): Promise<string> {
  const server = createHttpServer((_request, response) => response.writeHead(status).end(body));
  return `http://127.0.0.1:${(await listening(server)).port}`;
}

/** Asserts an RFC 9457 error with our code. Returns the distinct paths of `errors`. */
export function expectProblem({ status, headers, body }: Answer, wanted: number, code: string): string[] {
  expect(body).toMatchObject({
    title: STATUS_CODES[wanted],
    status: wanted,
    code,
    detail: expect.stringMatching(/\S/) as unknown,
  });
  expect({ status, type: headers.get('content-type')?.split(';')[0] }).toEqual({
    status: wanted,
    type: 'application/problem+json',
  });
  const faults = (body['errors'] ?? []) as { path: string; message: string }[];
  for (const { message } of faults) expect(message).toMatch(/\S/);
  return [...new Set(faults.map(({ path }) => path))];
}

/** The pages of a list, from the first to the one without a next cursor. */
export async function pagesOf<T>(client: Client, path: string, limit: number): Promise<T[][]> {
  const pages: T[][] = [];
  const separator = path.includes('?') ? '&' : '?';
  let next: string | null = '';
  while (next !== null) {
    const answer: Answer<List<T>> = await client.call('GET', `${path}${separator}limit=${limit}${next}`);
    expect(answer.status).toBe(200);
    pages.push(answer.body.data);
    const { next_cursor: cursor } = answer.body;
    next = cursor === null ? null : `&cursor=${encodeURIComponent(cursor)}`;
  }
  return pages;
}

export async function deliveriesOf(client: Client, query = ''): Promise<DeliveryJson[]> {
  return (await client.call<List<DeliveryJson>>('GET', `/v1/deliveries${query}`)).body.data;
}

/** Resolves when a job, given as the answer to a bulk request, is over. */
export async function finishedJob(client: Client, made: Record<string, unknown>): Promise<JobJson> {
  return await until(async () => {
    const { body } = await client.call<JobJson>('GET', `/v1/jobs/${String(made['id'])}`);
    expect(body.status).toBe('finished');
    return body;
  });
}

export function adminTokenOf(folder: string): string {
  return readFileSync(join(folder, 'admin-token'), 'utf8').trim();
}

/** A request to the API with a body that may be invalid JSON. */
export async function postText({ url, folder }: LocalGateway, path: string, body: string): Promise<Answer> {
  const headers = { authorization: `Bearer ${adminTokenOf(folder)}`, 'content-type': 'application/json' };
  const response = await fetch(url + path, { method: 'POST', headers, body });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

/** An answer of a bot that the test gives later, while its sender waits. */
export function answerLater(): {
  readonly answer: BotAnswer;
  give(status: number, headers?: Record<string, string>): void;
} {
  const waiting: ServerResponse[] = [];
  return {
    answer: (_request, response) => void waiting.push(response),
    give: (status, headers = {}) => waiting.splice(0).forEach((response) => response.writeHead(status, headers).end()),
  };
}
