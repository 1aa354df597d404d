import type { ServerResponse } from 'node:http';
import type { Bot, BotRequest } from './bot.js';
import type { Storm } from './storm.js';

/** One in this many requests is answered 500, left hanging, reset or answered with Retry-After. */
const TROUBLE = [12, 30, 20, 40];

/** Checks what the bot receives against the invariants. */
export interface Watch {
  readonly seen: ReadonlySet<string>;
  /** Answered 200 by the bot. */
  readonly delivered: ReadonlySet<string>;
  /** Received before the previous message of the chat was delivered (I6). */
  readonly reordered: readonly string[];
  /** Repeated under another webhook-id (I5). */
  readonly changed: readonly string[];
  failures(): number;
  /** An answer that may cause trouble. */
  readonly trouble: (request: BotRequest, response: ServerResponse) => void;
  /** An answer that causes none. */
  readonly calm: (request: BotRequest, response: ServerResponse) => void;
  /** An answer that fails. */
  readonly down: (request: BotRequest, response: ServerResponse) => void;
}

export function createWatch(): Watch {
  const seen = new Set<string>();
  const delivered = new Set<string>();
  const lastOfChat = new Map<string, string>();
  const webhookIds = new Map<string, unknown>();
  const reordered: string[] = [];
  const changed: string[] = [];
  let failures = 0;

  const note = ({ ids, headers }: BotRequest): void => {
    for (const id of ids) {
      const chat = id.slice(0, id.indexOf('-'));
      const last = lastOfChat.get(chat);
      if (!seen.has(id)) {
        if (last !== undefined && !delivered.has(last)) reordered.push(id);
        lastOfChat.set(chat, id);
      }
      seen.add(id);
      if (webhookIds.has(id) && webhookIds.get(id) !== headers['webhook-id']) changed.push(id);
      webhookIds.set(id, headers['webhook-id']);
    }
  };
  const calm = (request: BotRequest, response: ServerResponse): void => {
    note(request);
    for (const id of request.ids) delivered.add(id);
    response.writeHead(200).end();
  };
  const faults: ((response: ServerResponse) => void)[] = [
    (response) => void response.writeHead(500).end('no'),
    () => undefined,
    (response) => void response.socket?.destroy(),
    (response) => void response.writeHead(429, { 'retry-after': '1' }).end(),
  ];
  const fail = (request: BotRequest, response: ServerResponse, fault: (response: ServerResponse) => void): void => {
    failures += 1;
    note(request);
    fault(response);
  };
  return {
    seen,
    delivered,
    reordered,
    changed,
    failures: () => failures,
    calm,
    down: (request, response) => fail(request, response, (each) => void each.writeHead(503).end()),
    trouble: (request, response) => {
      const fault = faults.find((_, kind) => Math.random() < 1 / (TROUBLE[kind] ?? Infinity));
      if (fault) fail(request, response, fault);
      else calm(request, response);
    },
  };
}

/** What a chaos test reports of its messages. @param restored further ids that must not reach the bot */
export function reportOf(storm: Storm, watch: Watch, bot: Bot, restored: readonly string[] = []) {
  const answered = [...storm.answered.values()].flat();
  const held = [...storm.restored, ...restored];
  return {
    answered: answered.length,
    restored: held.length,
    attempts: bot.requests.length,
    failed_attempts: watch.failures(),
    lost: answered.filter((id) => !watch.delivered.has(id)).length,
    leaked: held.filter((id) => watch.seen.has(id)).length,
    reordered: watch.reordered.length,
    repeats_under_another_id: watch.changed.length,
  };
}

export const NO_HARM = { lost: 0, leaked: 0, reordered: 0, repeats_under_another_id: 0 };
