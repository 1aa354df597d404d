import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { LookupFunction, Socket } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { connectOptions } from '../outgoing.js';
import type { ConnectOptions } from '../outgoing.js';
import { Drains } from './answer.js';
import type { Answer } from './answer.js';
import { Exchange } from './exchange.js';

/** One HTTP request, with its body in memory so that it can be repeated. */
export interface OutgoingRequest {
  /** Of the URL, for example `https://bot.example`. */
  readonly origin: string;
  /** With the query. */
  readonly path: string;
  readonly method: string;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer;
}

export interface RequestLimits {
  readonly targetId: string;
  /** For the whole request, including the DNS lookup. */
  readonly timeoutMs: number;
}

export interface Connections {
  /**
   * Sends a request over a kept-alive connection if there is one. The server may close such a connection at the same
   * moment: if it is reset before a byte of the answer arrives, the request is sent once more, immediately, over a new
   * connection. Redirects are not followed. Rejects with undici's error or an AnswerTimeout.
   */
  request(request: OutgoingRequest, limits: RequestLimits): Promise<Answer>;
  /** Aborts requests under way and closes all connections. */
  destroy(): Promise<void>;
}

/** How a kept-alive connection was used. */
interface ConnectionUse {
  /** Sent so far. */
  requests: number;
  /** Bytes received before the latest request was sent. */
  bytesBefore: number;
}

/** The channel where undici announces each request and its socket, just before it writes the first byte. */
const SENDING_HEADERS = 'undici:client:sendHeaders';
/** Turns off undici's own timeouts: an `Exchange` limits the whole request, and two more timers per request only add cost. */
const NO_TIMERS = { headersTimeout: 0, bodyTimeout: 0 };
const RESET_CODES: readonly unknown[] = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

/** @param lookup returns the allowed addresses of a host name */
export function createConnections(lookup: LookupFunction): Connections {
  // undici's plain Agent ignores proxy settings: the guard could not check what a proxy connects to.
  const agents = new Map<string, Agent>();
  const drains = new Drains();
  const uses = new WeakMap<Socket, ConnectionUse>();
  /** Errors of reused connections that were reset before a byte of the latest answer arrived. */
  const stale = new WeakSet<Error>();

  const onSending = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    const use = uses.get(socket);
    if (!use) return;
    use.requests += 1;
    use.bytesBefore = socket.bytesRead;
  };
  subscribe(SENDING_HEADERS, onSending);

  const watch = (socket: Socket): void => {
    uses.set(socket, { requests: 0, bytesBefore: 0 });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const { requests, bytesBefore } = uses.get(socket) ?? { requests: 0, bytesBefore: 0 };
      if (requests > 1 && socket.bytesRead === bytesBefore && RESET_CODES.includes(error.code)) stale.add(error);
    });
  };

  /** Agents differ in how long they try one address, and in whether they keep connections alive. */
  const agentFor = (callMs: number, isKept: boolean): Agent => {
    const options = connectOptions(callMs);
    const key = `${options.autoSelectFamilyAttemptTimeout} ${isKept}`;
    const agent =
      agents.get(key) ?? new Agent({ ...NO_TIMERS, connect: connectorOf(options), ...(!isKept && { pipelining: 0 }) });
    agents.set(key, agent);
    return agent;
  };

  const connectorOf = (options: ConnectOptions): buildConnector.connector => {
    const connector = buildConnector({ ...options, lookup });
    return (to, callback) => {
      connector(to, (...result) => {
        if (result[1]) watch(result[1]);
        callback(...result);
      });
    };
  };

  return {
    request: async (request, { targetId, timeoutMs }) =>
      await new Promise((resolve, reject) => {
        const repeat = (failed: Exchange, error: Error): boolean => {
          if (!stale.delete(error)) return false;
          agentFor(timeoutMs, false).dispatch(request, failed);
          return true;
        };
        const exchange = new Exchange({ targetId, timeoutMs, drains, repeat, resolve, reject });
        agentFor(timeoutMs, true).dispatch(request, exchange);
      }),
    destroy: async () => {
      unsubscribe(SENDING_HEADERS, onSending);
      await Promise.all([...agents.values()].map(async (agent) => await agent.destroy()));
    },
  };
}
