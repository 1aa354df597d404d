import { printableLines } from '../printable.js';

/** Reading a body to its end frees the connection for reuse. A longer body is cut off together with its connection. */
const MOST_ANSWER_BYTES = 64 * 1024;
const MOST_KEPT_BYTES = 2048;
/** Bodies of successful answers: how long reading each may take, and how many are read at once per target. */
const DRAIN_MS = 5000;
const MOST_DRAINS_PER_TARGET = 16;

/**
 * Reads the start of an answer's body, at most 2 KiB of UTF-8 text, so that people see why a bot refused a delivery.
 * If the body breaks off or the attempt's time runs out, returns what has arrived.
 */
export async function readExcerpt(body: AsyncIterable<Buffer>): Promise<string> {
  const kept: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      if (bytes < MOST_KEPT_BYTES) kept.push(chunk.subarray(0, MOST_KEPT_BYTES - bytes));
      bytes += chunk.length;
      if (bytes >= MOST_ANSWER_BYTES) break;
    }
  } catch {
    // The status decides what happens to the delivery, and it is known.
  }
  return excerptOf(Buffer.concat(kept));
}

/** The body of an answer, as undici returns it. */
export interface AnswerBody extends AsyncIterable<Buffer> {
  /** Reads and discards up to `limit` bytes. Destroys the body beyond that, or when `signal` is aborted. */
  dump(options: { limit: number; signal: AbortSignal }): Promise<void>;
  on(event: 'error', listener: () => void): this;
  destroy(): unknown;
}

/**
 * Reads and discards the bodies of successful answers, so that their connections can be reused. A body that takes too
 * long or is too large is cut off together with its connection.
 */
export class BodyDrainer {
  readonly #underWay = new Map<string, number>();

  /** `targetId`: the target that answered. Never fails, because the delivery has succeeded already. */
  start(targetId: string, body: AnswerBody): void {
    const underWay = this.#underWay.get(targetId) ?? 0;
    if (underWay >= MOST_DRAINS_PER_TARGET) {
      body.on('error', () => undefined).destroy();
      return;
    }
    this.#underWay.set(targetId, underWay + 1);
    const ended = (): void => {
      const left = (this.#underWay.get(targetId) ?? 1) - 1;
      if (left > 0) this.#underWay.set(targetId, left);
      else this.#underWay.delete(targetId);
    };
    body.dump({ limit: MOST_ANSWER_BYTES, signal: AbortSignal.timeout(DRAIN_MS) }).then(ended, ended);
  }
}

/** Whether a gateway refused its own webhook (508 `GW_LOOP`). Other servers send 508 for other reasons. */
export function isLoopRefusal(status: number, excerpt: string): boolean {
  if (status !== 508) return false;
  try {
    return (JSON.parse(excerpt) as { code?: unknown } | null)?.code === 'GW_LOOP';
  } catch {
    return false;
  }
}

function excerptOf(bytes: Buffer): string {
  const text = printableLines(decoded(bytes));
  return decoded(Buffer.from(text).subarray(0, MOST_KEPT_BYTES)); // U+FFFD can take more bytes than what it replaces
}

/** Replaces invalid UTF-8 with U+FFFD and leaves out a character that is cut off at the end. */
function decoded(bytes: Buffer): string {
  return new TextDecoder().decode(bytes, { stream: true });
}
