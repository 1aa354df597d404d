/** Of an answer so much is read, so that the connection can be used again; what is longer is broken off. */
const MOST_ANSWER_BYTES = 64 * 1024;
const MOST_KEPT_BYTES = 2048;
/** Bodies that are read in the background: how long each may take to end, and how many of one target are read at a time. */
const DRAIN_MS = 5000;
const MOST_DRAINS_PER_TARGET = 16;
/** What a terminal obeys and PostgreSQL does not store. */
const CONTROL_CHARACTERS = /[^\P{Cc}\t\n\r]/gu;

/**
 * The beginning of an answer's body, as text of at most 2 KiB in UTF-8: what a person reads to see why a bot refused.
 * Of a body that breaks off, or that is not at its end when the attempt's time is over, what has come of it.
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
    // The status is known, and with it what becomes of the delivery.
  }
  return printable(Buffer.concat(kept));
}

/** The body of an answer, as undici gives it. */
export interface AnswerBody extends AsyncIterable<Buffer> {
  /** Reads up to `limit` bytes, or until `signal` is aborted, and then breaks it off. */
  dump(options: { limit: number; signal: AbortSignal }): Promise<void>;
  on(event: 'error', listener: () => void): this;
  destroy(): unknown;
}

/**
 * Reads the bodies of successful answers to their end and drops them, so that their connections can be used again. A body
 * that takes too long or is too large is cut off together with its connection.
 */
export class BodyDrainer {
  readonly #underWay = new Map<string, number>();

  /** `targetId`: whose answer it is. Never fails: the answer has counted already. */
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

function printable(bytes: Buffer): string {
  const text = decoded(bytes).replace(CONTROL_CHARACTERS, '\ufffd');
  return decoded(Buffer.from(text).subarray(0, MOST_KEPT_BYTES)); // a U+FFFD is longer than what it stands for
}

/** What is no UTF-8 becomes U+FFFD; a character that was cut off at the end is left out. */
function decoded(bytes: Buffer): string {
  return new TextDecoder().decode(bytes, { stream: true });
}
