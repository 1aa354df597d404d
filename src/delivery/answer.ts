import { printableLines } from '../printable.js';

/** Reading a body to its end frees the connection for reuse. A longer body is cut off together with its connection. */
export const MOST_ANSWER_BYTES = 64 * 1024;
export const MOST_KEPT_BYTES = 2048;
/** How many bodies of successful answers are read at once per target. */
const MOST_DRAINS_PER_TARGET = 16;

/** What a target answered to an attempt. */
export interface Answer {
  readonly status: number;
  /** The `retry-after` header. */
  readonly retryAfter: string | null;
  /** The start of the body, at most 2 KiB of text, so that people see why a bot refused a delivery; '' for a 2xx. */
  readonly excerpt: string;
}

/** Any 2xx. The delivery has succeeded, however the body ends. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/**
 * The successful answers whose bodies are still arriving, by target. They are read so that their connections can be
 * reused.
 */
export class Drains {
  readonly #underWay = new Map<string, number>();

  /** Whether another body of this target may be read. If so, `ended` must be called later. */
  start(targetId: string): boolean {
    const underWay = this.#underWay.get(targetId) ?? 0;
    if (underWay >= MOST_DRAINS_PER_TARGET) return false;
    this.#underWay.set(targetId, underWay + 1);
    return true;
  }

  ended(targetId: string): void {
    const left = (this.#underWay.get(targetId) ?? 1) - 1;
    if (left > 0) this.#underWay.set(targetId, left);
    else this.#underWay.delete(targetId);
  }
}

/** Whether a gateway refused its own webhook (508 `GW_LOOP`). Other servers send 508 for other reasons. */
export function isLoopRefusal({ status, excerpt }: Answer): boolean {
  if (status !== 508) return false;
  try {
    return (JSON.parse(excerpt) as { code?: unknown } | null)?.code === 'GW_LOOP';
  } catch {
    return false;
  }
}

/** Text of the first 2 KiB of a body, with U+FFFD for invalid UTF-8 and for characters that control a terminal. */
export function excerptOf(bytes: Buffer): string {
  const text = printableLines(decoded(bytes));
  return decoded(Buffer.from(text).subarray(0, MOST_KEPT_BYTES)); // U+FFFD can take more bytes than what it replaces
}

/** Replaces invalid UTF-8 with U+FFFD and leaves out a character that is cut off at the end. */
function decoded(bytes: Buffer): string {
  return new TextDecoder().decode(bytes, { stream: true });
}
