/**
 * A simulated Whapi: one channel with its phone, its REST API and its webhooks, over real loopback sockets.
 * It behaves as docs/whapi.md describes, and on demand shows the faults that the gateway must survive (see `Faults`).
 */
import { once, setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { type Effects, systemEffects } from '../effects.js';
import {
  type Faults,
  type ForcedStatus,
  messageIdOf,
  noFaults,
  errorAnswer,
  type RestAnswer,
  type RestRequest,
  SimulatedChannel,
} from './channel.js';
import { PendingWork, type SimulatorEvent } from './webhooks.js';
import { CHANNEL_NOT_FOUND, type EventName, type WebhookSetting, type WhapiMessage } from '../whapi/wire.js';

export type { Faults, RestAnswer, RestRequest, SimulatorEvent };

export interface SimulatorOptions {
  /** Default: `simulated-token`. */
  token?: string;
  /** Default: `SIMUL-8TRGW`. */
  channelId?: string;
  /** 1 (default) = real time; 1000 = a thousand times faster. */
  timeScale?: number;
  /** Default: 0, any free port. */
  port?: number;
  /** Default: 127.0.0.1. */
  host?: string;
  effects?: Effects;
  /** Called for each call, webhook and restored message. */
  onEvent?: (line: SimulatorEvent) => void;
  /** Answers requests under /_simulator/, which need no token; undefined gives a 404. */
  control?: (simulator: Simulator, request: RestRequest) => RestAnswer | undefined;
}

/** One received REST call. */
export interface SimulatorCall {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Whether the query asks for a resync. */
  readonly resync: boolean;
  /** The id of a call on /messages/{id}. */
  readonly messageId?: string;
  /** Arrival, milliseconds since the epoch. */
  readonly at: number;
  /** Status of the answer; null while the call is in flight, or if it is never answered. */
  readonly status: number | null;
  /** Calls on /messages/{id} in flight when this one arrived, itself included; 0 for other calls. */
  readonly inFlight: number;
}

export interface Simulator {
  readonly url: string;
  readonly token: string;
  readonly channelId: string;
  /** Mutable switches. */
  readonly faults: Faults;
  /** The REST calls, oldest first; at most the newest 200,000. */
  readonly calls: readonly SimulatorCall[];
  /** Maximum number of calls on /messages/{id} in flight at the same time. */
  readonly mostCallsAtOnce: number;
  /** The same for calls on /messages/list. */
  readonly mostListsAtOnce: number;
  /** Sets the webhooks like PATCH /settings. @throws Error if Whapi would refuse them */
  setWebhooks(webhooks: readonly WebhookSetting[]): void;
  /** Puts a message on the phone. If not cached, GET answers 404 until a resync brings it back. */
  store(message: WhapiMessage, options?: { cached?: boolean }): void;
  /** Receives a live message: stores, caches and sends it as messages.post. */
  receive(message: WhapiMessage): void;
  /** Sends any other webhook. `event` and `channel_id` are added to the payload. */
  emit(event: EventName, payload: Readonly<Record<string, unknown>>): void;
  /** Sets the channel's state (AUTH, QR, STOP …) and sends a channel.post about it. Resyncs work only with AUTH. */
  setHealth(text: string): void;
  /** Refuses every REST call with this status for Whapi's `ms` (scaled). */
  failFor(status: ForcedStatus, ms: number): void;
  /** Resolves when every due webhook has been answered 200 and no resync is in flight. */
  idle(): Promise<void>;
  /** Stops everything and closes all connections. */
  close(): Promise<void>;
}

const MAX_CALLS = 200_000;
const MAX_BODY_BYTES = 128 * 1024 * 1024;
const MAX_JSON_BYTES = 1024 * 1024;
const LIST_PATH = '/messages/list';
const CONTROL_PREFIX = '/_simulator/';

/** Starts a simulated Whapi; it listens when the promise resolves. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = new LoopbackSimulator(options);
  await simulator.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  return simulator;
}

type MutableCall = { -readonly [K in keyof SimulatorCall]: SimulatorCall[K] };

class LoopbackSimulator implements Simulator {
  readonly token: string;
  readonly channelId: string;
  readonly faults = noFaults();
  readonly calls: MutableCall[] = [];
  url = '';
  mostCallsAtOnce = 0;
  mostListsAtOnce = 0;

  readonly #server: Server = createServer((request, response) => {
    this.#handle(request, response).catch((error: unknown) => {
      if (!response.destroyed) write(response, errorAnswer(500, 'The simulator failed', { details: String(error) }));
    });
  });
  readonly #closing = new AbortController();
  readonly #pending = new PendingWork();
  readonly #effects: Effects;
  readonly #timeScale: number;
  readonly #options: SimulatorOptions;
  readonly #channel: SimulatedChannel;
  #callsInFlight = 0;
  #listsInFlight = 0;

  constructor(options: SimulatorOptions) {
    this.token = options.token ?? 'simulated-token';
    this.channelId = options.channelId ?? 'SIMUL-8TRGW';
    this.#effects = options.effects ?? systemEffects;
    this.#timeScale = options.timeScale ?? 1;
    this.#options = options;
    // Every sleeping resync listens to the signal, and there may be thousands.
    setMaxListeners(0, this.#closing.signal);
    this.#channel = new SimulatedChannel({
      channelId: this.channelId,
      effects: this.#effects,
      faults: this.faults,
      pending: this.#pending,
      signal: this.#closing.signal,
      pause: async (ms) => await this.#pause(ms),
      report: (event) => this.#options.onEvent?.(event),
    });
  }

  async listen(port: number, host: string): Promise<void> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The simulator has no port.');
    this.url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
  }

  setWebhooks(webhooks: readonly WebhookSetting[]): void {
    if (this.#channel.webhooks.patchSettings({ webhooks }) === null)
      throw new Error('Whapi would refuse these webhooks.');
  }

  store(message: WhapiMessage, { cached = true }: { cached?: boolean } = {}): void {
    this.#channel.store(message, cached);
  }

  receive(message: WhapiMessage): void {
    this.#channel.receive(message);
  }

  emit(event: EventName, payload: Readonly<Record<string, unknown>>): void {
    this.#channel.webhooks.emit(event, payload);
  }

  setHealth(text: string): void {
    this.#channel.setHealth(text);
  }

  failFor(status: ForcedStatus, ms: number): void {
    this.faults.restStatus = status;
    this.#pending.add(
      this.#pause(ms).then(() => {
        this.faults.restStatus = null;
      }),
    );
  }

  async idle(): Promise<void> {
    await this.#pending.idle();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#server.listening) {
      this.#server.close();
      this.#server.closeAllConnections();
      await once(this.#server, 'close');
    }
    await this.#channel.webhooks.close();
    await this.#pending.idle();
  }

  async #pause(ms: number): Promise<void> {
    await this.#effects.sleep(ms / this.#timeScale, this.#closing.signal);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(`${this.url}${request.url ?? '/'}`);
    const method = request.method ?? 'GET';
    const isControl = url.pathname.startsWith(CONTROL_PREFIX);
    const call = isControl ? null : this.#note(method, url, response);
    const bytes = await readBody(request);
    const contentType = request.headers['content-type'];
    const asked = { method, path: url.pathname, query: url.searchParams, body: jsonOf(bytes), bytes, contentType };
    if (call === null) {
      write(response, this.#options.control?.(this, asked) ?? errorAnswer(404, 'Not found'));
      return;
    }
    const answer = this.#isAuthorized(request, url)
      ? await this.#channel.answer(asked)
      : errorAnswer(404, CHANNEL_NOT_FOUND);
    if (answer === null) return;
    if (this.faults.slowAnswerMs > 0) await this.#pause(this.faults.slowAnswerMs);
    if (response.destroyed) return;
    call.status = answer.status;
    write(response, answer);
    this.#options.onEvent?.({ kind: 'call', at: this.#effects.now(), method, path: call.path, status: answer.status });
  }

  #isAuthorized(request: IncomingMessage, url: URL): boolean {
    return request.headers.authorization === `Bearer ${this.token}` || url.searchParams.get('token') === this.token;
  }

  #note(method: string, url: URL, response: ServerResponse): MutableCall {
    const messageId = method === 'GET' ? messageIdOf(url.pathname) : undefined;
    const call: MutableCall = {
      method,
      path: url.pathname,
      resync: url.searchParams.get('resync') === 'true',
      ...(messageId === undefined ? {} : { messageId }),
      at: this.#effects.now(),
      status: null,
      inFlight: messageId === undefined ? 0 : this.#countInFlight(response),
    };
    if (url.pathname === LIST_PATH) this.#countList(response);
    // Drops a tenth at a time: removing one element from the front of a long array costs more than the call itself.
    if (this.calls.length >= MAX_CALLS) this.calls.splice(0, MAX_CALLS / 10);
    this.calls.push(call);
    return call;
  }

  #countList(response: ServerResponse): void {
    this.#listsInFlight += 1;
    response.once('close', () => (this.#listsInFlight -= 1));
    this.mostListsAtOnce = Math.max(this.mostListsAtOnce, this.#listsInFlight);
  }

  #countInFlight(response: ServerResponse): number {
    this.#callsInFlight += 1;
    response.once('close', () => (this.#callsInFlight -= 1));
    this.mostCallsAtOnce = Math.max(this.mostCallsAtOnce, this.#callsInFlight);
    return this.#callsInFlight;
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`The body is larger than ${MAX_BODY_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function jsonOf(bytes: Buffer): unknown {
  if (bytes.length > MAX_JSON_BYTES) return undefined;
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return undefined;
  }
}

function write(response: ServerResponse, { status, body, file }: RestAnswer): void {
  response.statusCode = status;
  if (file) {
    response.setHeader('content-type', file.contentType ?? 'application/octet-stream');
    response.setHeader('content-length', file.bytes.length);
    response.end(file.bytes);
    return;
  }
  if (body === undefined) {
    response.end();
    return;
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}
