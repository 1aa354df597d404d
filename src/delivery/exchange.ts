import { excerptOf, isSuccess, MOST_ANSWER_BYTES, MOST_KEPT_BYTES } from './answer.js';
import type { Answer, Drains } from './answer.js';

/** How long the rest of a successful answer's body may take. */
const DRAIN_MS = 5000;

/** Stops a request that is on its connection, and closes that connection. */
interface Controller {
  abort(reason: Error): void;
}

interface Head {
  readonly status: number;
  readonly retryAfter: string | null;
}

export interface ExchangeOptions {
  readonly targetId: string;
  /** For the whole exchange, including the DNS lookup. */
  readonly timeoutMs: number;
  readonly drains: Drains;
  /** Sends the request once more if this error allows it. Returns whether it did. */
  readonly repeat: (exchange: Exchange, error: Error) => boolean;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** No answer within the time of the attempt. */
export class AnswerTimeout extends Error {
  constructor(timeoutMs: number) {
    super(`No answer within ${timeoutMs} ms`);
    this.name = 'TimeoutError';
  }
}

/** The body of an answer is cut off: it is too large or takes too long, or too many others are being read. */
class BodyCutOff extends Error {}

/**
 * One request and its answer, as a handler of undici's `dispatch`: undici's `request` would make a stream of each body,
 * and an AbortSignal for the time limit would cost more than the rest of the attempt.
 *
 * Its course: waiting for a connection → sent → the head of the answer has arrived → the body has ended. A successful
 * answer is reported with its head and its body is read and discarded, any other with the start of its body. If the
 * body breaks off or the time runs out, what has arrived counts.
 */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #timer: NodeJS.Timeout;
  #drainTimer: NodeJS.Timeout | null = null;
  /** Null until undici has a connection for the request. */
  #controller: Controller | null = null;
  /** Why the exchange was given up; null: it was not. */
  #givenUp: Error | null = null;
  #head: Head | null = null;
  #hasEnded = false;
  #bytes = 0;
  readonly #kept: Buffer[] = [];

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#timer = setTimeout(giveUpInTime, options.timeoutMs, this);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#givenUp !== null) controller.abort(this.#givenUp); // before a byte is sent
  }

  onResponseStart(
    _controller: Controller,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200) return; // interim
    this.#head = { status, retryAfter: first(headers['retry-after']) };
    if (!isSuccess(status)) return;
    this.#options.resolve({ ...this.#head, excerpt: '' });
    // undici has announced the end by then if the whole answer arrived together, as it usually does.
    const announced = Number(first(headers['content-length']) ?? 0);
    queueMicrotask(() => this.#drain(announced));
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    const isKept = this.#bytes < MOST_KEPT_BYTES && this.#head !== null && !isSuccess(this.#head.status);
    if (isKept) this.#kept.push(chunk.subarray(0, MOST_KEPT_BYTES - this.#bytes));
    this.#bytes += chunk.length;
    if (this.#bytes > MOST_ANSWER_BYTES) this.#giveUp(new BodyCutOff());
  }

  onResponseEnd(): void {
    this.#end();
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    if (this.#hasEnded) return;
    this.#controller = null;
    if (this.#givenUp !== null || !this.#options.repeat(this, error)) this.#end(error);
  }

  timedOut(): void {
    this.#giveUp(new AnswerTimeout(this.#options.timeoutMs));
  }

  /** Reads the rest of a successful answer's body, within limits. */
  #drain(announced: number): void {
    if (this.#hasEnded) return;
    if (announced > MOST_ANSWER_BYTES || !this.#options.drains.start(this.#options.targetId)) {
      this.#giveUp(new BodyCutOff());
      return;
    }
    this.#drainTimer = setTimeout(() => this.#giveUp(new BodyCutOff()), DRAIN_MS);
  }

  #giveUp(error: Error): void {
    this.#givenUp ??= error;
    // Without a connection, undici announces nothing until there is one.
    if (this.#controller === null) this.#end(error);
    else this.#controller.abort(error);
  }

  #end(error?: Error): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    if (this.#drainTimer !== null) {
      clearTimeout(this.#drainTimer);
      this.#options.drains.ended(this.#options.targetId);
    }
    if (this.#head === null) this.#options.reject(error ?? new Error('The answer ended without a status'));
    else if (!isSuccess(this.#head.status))
      this.#options.resolve({ ...this.#head, excerpt: excerptOf(Buffer.concat(this.#kept)) });
  }
}

/** A shared function instead of a closure, because every attempt sets a timer. */
function giveUpInTime(exchange: Exchange): void {
  exchange.timedOut();
}

function first(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}
