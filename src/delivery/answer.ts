/** Of an answer so much is read, so that the connection can be used again; what is longer is broken off. */
export const MOST_ANSWER_BYTES = 64 * 1024;
const MOST_KEPT_BYTES = 2048;
/** What a terminal obeys and PostgreSQL does not store. */
const CONTROL_CHARACTERS = /[^\P{Cc}\t\n\r]/gu;

/**
 * The beginning of an answer's body, as text of at most 2 KiB in UTF-8: what a person reads to see why a bot refused.
 * Of a body that breaks off, or that is not at its end when the attempt's time is over, what has come of it.
 */
export async function beginningOf(body: AsyncIterable<Buffer>): Promise<string> {
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
  return harmless(Buffer.concat(kept));
}

function harmless(bytes: Buffer): string {
  const text = decoded(bytes).replace(CONTROL_CHARACTERS, '\ufffd');
  return decoded(Buffer.from(text).subarray(0, MOST_KEPT_BYTES)); // a U+FFFD is longer than what it stands for
}

/** What is no UTF-8 becomes U+FFFD; a character that was cut off at the end is left out. */
function decoded(bytes: Buffer): string {
  return new TextDecoder().decode(bytes, { stream: true });
}
