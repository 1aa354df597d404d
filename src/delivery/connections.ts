import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { LookupFunction, Socket } from 'node:net';
import { Agent, buildConnector, request } from 'undici';
import type { Dispatcher } from 'undici';
import { connectOptions } from '../outgoing.js';
import type { ConnectOptions } from '../outgoing.js';

/** One HTTP request, body and all in memory, so that it can be made twice. */
export interface Exchange {
  readonly method: Dispatcher.HttpMethod;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** For all of it, from the look-up on. */
  readonly timeoutMs: number;
}

export interface Connections {
  /**
   * Makes a request over a connection that is kept alive, where there is one. Such a connection may have been closed by the
   * other side just then: where it is reset before a byte of an answer, the request is made once more, at once, over a
   * fresh one. Rejects with undici's error, or with a TimeoutError.
   */
  request(url: URL, exchange: Exchange): Promise<Dispatcher.ResponseData>;
  /** Breaks off what is under way and closes all connections. */
  destroy(): Promise<void>;
}

/** What became of a connection that is kept alive. */
interface ConnectionUse {
  requests: number;
  /** Bytes that had come when the newest request went out. */
  bytesBefore: number;
}

/** undici tells here of each request, with its socket, right before its first byte is written. */
const SENDING_HEADERS = 'undici:client:sendHeaders';
const RESET_CODES: readonly unknown[] = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

/** @param lookup gives the addresses of a name that may be connected to */
export function createConnections(lookup: LookupFunction): Connections {
  // Of undici's agents those that ask no proxy: what a proxy connects to could not be judged.
  const agents = new Map<string, Agent>();
  const uses = new WeakMap<Socket, ConnectionUse>();
  /** Errors of connections that were used before and reset before a byte of the newest answer had come. */
  const stale = new WeakSet<Error>();

  const onSending = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    const use = uses.get(socket);
    if (use) uses.set(socket, { requests: use.requests + 1, bytesBefore: socket.bytesRead });
  };
  subscribe(SENDING_HEADERS, onSending);

  const watch = (socket: Socket): void => {
    uses.set(socket, { requests: 0, bytesBefore: 0 });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const { requests, bytesBefore } = uses.get(socket) ?? { requests: 0, bytesBefore: 0 };
      if (requests > 1 && socket.bytesRead === bytesBefore && RESET_CODES.includes(error.code)) stale.add(error);
    });
  };

  /** Agents differ in how long they try an address, and whether they keep connections. */
  const agentFor = (callMs: number, isKept: boolean): Agent => {
    const options = connectOptions(callMs);
    const key = `${options.autoSelectFamilyAttemptTimeout} ${isKept}`;
    const agent = agents.get(key) ?? new Agent({ connect: connectorOf(options), ...(!isKept && { pipelining: 0 }) });
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
    request: async (url, { timeoutMs, ...sent }) => {
      const options = { ...sent, signal: AbortSignal.timeout(timeoutMs) };
      try {
        return await request(url, { ...options, dispatcher: agentFor(timeoutMs, true) });
      } catch (error) {
        if (!stale.has(error as Error)) throw error;
        return await request(url, { ...options, dispatcher: agentFor(timeoutMs, false) });
      }
    },
    destroy: async () => {
      unsubscribe(SENDING_HEADERS, onSending);
      await Promise.all([...agents.values()].map(async (agent) => await agent.destroy()));
    },
  };
}
