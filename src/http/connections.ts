import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Connections at a time. */
  readonly most: number;
  /** How long a connection may wait for its next request if no request on it has authenticated. */
  readonly strangerKeepAliveMs: number;
}

export interface Connections {
  /** Notes that a request on this connection has authenticated. */
  authenticated(socket: Socket): void;
  /** The request whose body is arriving on this connection; null if there is none. */
  requestOn(socket: Socket): IncomingMessage | null;
}

/**
 * Limits the connections of a server. At the limit the oldest idle one is closed, not the newcomer: otherwise a client that
 * opens connections and sends nothing would keep webhooks out, as it would with Node's own `maxConnections`. Connections
 * on which no request has authenticated go first. One with a request in progress is never closed; if there are only such,
 * the newcomer is.
 */
export function limitConnections(server: Server, { most, strangerKeepAliveMs }: ConnectionLimits): Connections {
  /** The response in progress on each connection, null for none; in order of the last request, oldest first. */
  const responses = new Map<Socket, ServerResponse | null>();
  const known = new WeakSet<Socket>();

  const closeOldest = (): boolean => {
    const idle = [...responses].filter(([socket, response]) => isIdle(response, known.has(socket)));
    const [socket] = idle.find(([each]) => !known.has(each)) ?? idle[0] ?? [];
    if (!socket) return false;
    responses.delete(socket);
    socket.destroy();
    return true;
  };

  server.on('connection', (socket) => {
    if (responses.size >= most && !closeOldest()) {
      socket.destroy();
      return;
    }
    responses.set(socket, null);
    socket.once('close', () => responses.delete(socket));
  });
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    responses.delete(socket); // so that it becomes the newest
    responses.set(socket, response);
    response.once('finish', () => {
      if (responses.get(socket) !== response) return;
      // Held until the next request, it would outlive the young generation: 8 µs of garbage collection for a webhook.
      if (response.req.complete) responses.set(socket, null);
      // Node has just set the longer time-out. It lifts either when the next request comes.
      if (!known.has(socket)) socket.setTimeout(strangerKeepAliveMs);
    });
  });
  return {
    authenticated: (socket) => void known.add(socket),
    requestOn: (socket) => {
      const request = responses.get(socket)?.req;
      return request && !request.complete ? request : null;
    },
  };
}

/** Whether nothing is lost when the connection closes. Part of a head, and a body after a refusal, count as nothing. */
function isIdle(response: ServerResponse | null, isKnown: boolean): boolean {
  if (response === null || response.writableFinished || response.destroyed) return true;
  // A stranger that does not read its answer, or goes on sending after a refusal, must not hold its place.
  if (!isKnown && response.writableEnded) return true;
  return response.headersSent && response.getHeader('connection') === 'close';
}
