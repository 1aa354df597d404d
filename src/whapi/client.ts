import { Agent, request } from 'undici';

/** What Whapi's answer to `GET /messages/{id}` means for a resync (docs/whapi.md, Resync and Errors). */
export type WhapiAnswer =
  /** 200: Whapi has the message. */
  | { readonly kind: 'found' }
  /** 404 "message not found", or an answer that says nothing certain: a resync may still bring it back. */
  | { readonly kind: 'missing'; readonly words: string }
  /** 400, 401, 402, 403, or a 404 that speaks of the channel: the call was not taken, in Whapi's words. */
  | { readonly kind: 'refused'; readonly words: string }
  /** 429 or 5xx. */
  | { readonly kind: 'busy'; readonly words: string; readonly retryAfter: string | null }
  /** No answer in time; Whapi may be at work on it all the same. */
  | { readonly kind: 'timeout' }
  /** No connection. */
  | { readonly kind: 'unreachable'; readonly words: string };

export interface WhapiAccess {
  readonly baseUrl: string;
  readonly token: string;
}

export interface WhapiClient {
  /** Never rejects: what went wrong is in the answer. The call takes about 15 s with `resync`. */
  getMessage(
    access: WhapiAccess,
    messageId: string,
    options: { resync: boolean; timeoutMs: number },
  ): Promise<WhapiAnswer>;
  /** Breaks off what is under way. */
  destroy(): Promise<void>;
}

const MOST_ERROR_BYTES = 64 * 1024;
/** They are stored with each of ten thousand ids. */
const LONGEST_WORDS = 500;
const REFUSALS = new Set([400, 401, 402, 403]);

export function createWhapiClient(): WhapiClient {
  const agent = new Agent();
  return {
    getMessage: async ({ baseUrl, token }, messageId, { resync, timeoutMs }) => {
      const url = `${baseUrl.replace(/\/$/, '')}/messages/${encodeURIComponent(messageId)}${resync ? '?resync=true' : ''}`;
      try {
        const answer = await request(url, {
          dispatcher: agent,
          headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
          signal: AbortSignal.timeout(timeoutMs),
          // Its own limits are shorter than the time a resync may take.
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
        });
        if (answer.statusCode === 200) {
          await answer.body.dump();
          return { kind: 'found' };
        }
        const retryAfter = answer.headers['retry-after'];
        const said = errorOf(answer.statusCode, await readSome(answer.body));
        return meaningOf(answer.statusCode, said, typeof retryAfter === 'string' ? retryAfter : null);
      } catch (error) {
        return failureOf(error);
      }
    },
    destroy: async () => await agent.destroy(),
  };
}

interface SaidError {
  /** `error.message` alone; '' where there is none. */
  readonly message: string;
  /** The status, message and details, for people. */
  readonly words: string;
}

function meaningOf(status: number, { message, words }: SaidError, retryAfter: string | null): WhapiAnswer {
  if (status === 429 || status >= 500) return { kind: 'busy', words, retryAfter };
  if (REFUSALS.has(status)) return { kind: 'refused', words };
  // An unknown token is answered 404 as well: the message tells it from a WhatsApp message that is not there.
  if (status === 404 && /\bchannel\b/i.test(message)) return { kind: 'refused', words };
  return { kind: 'missing', words };
}

/** What Whapi says, `{ error: { code, message, details? } }`, or the status where that is no error of its form. */
function errorOf(status: number, body: string): SaidError {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown; details?: unknown } };
    const [message, details] = [error?.message, error?.details].map((part) => (typeof part === 'string' ? part : ''));
    const said = [message, details].filter((part) => part).join(': ');
    if (said !== '') return { message: message ?? '', words: `${status} ${said}`.slice(0, LONGEST_WORDS) };
  } catch {
    // Not JSON: a proxy's page, perhaps.
  }
  return { message: '', words: `HTTP status ${status}` };
}

async function readSome(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= MOST_ERROR_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, MOST_ERROR_BYTES);
}

function failureOf(error: unknown): WhapiAnswer {
  const { name, code, message } = error as NodeJS.ErrnoException;
  const isTimeout = name === 'TimeoutError' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
  return isTimeout
    ? { kind: 'timeout' }
    : { kind: 'unreachable', words: message === '' ? (code ?? 'No connection') : message };
}
