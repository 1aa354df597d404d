import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../errors.js';

/** Webhooks in memory at one time, however small: each costs some kilobytes besides its body. */
const MOST_WEBHOOKS = 5000;

/** A webhook's part of what may be in memory. */
interface Share {
  /** So many bytes of it are here: more than it declared count as well. @throws GatewayError GW_OVERLOADED */
  cover(bytes: number): void;
  free(): void;
}

/**
 * Load shedding: the webhooks that wait for their commit, and their bytes, are bounded. What goes beyond is refused at
 * once, before its body is read, and Whapi sends it again; otherwise a disk that stalls for a minute would end in a
 * process without memory. One webhook alone is always let in.
 */
export class PendingWebhooks {
  readonly #mostBytes: number;
  #bytes = 0;
  #count = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** @param declared its content length; 0 where it has none. @throws GatewayError GW_OVERLOADED */
  admit(declared: number): Share {
    this.#mustHaveRoomFor(declared);
    let held = declared;
    this.#bytes += declared;
    this.#count += 1;
    return {
      cover: (bytes) => {
        const more = bytes - held;
        if (more <= 0) return;
        if (this.#count > 1) this.#mustHaveRoomFor(more);
        held += more;
        this.#bytes += more;
      },
      free: () => {
        this.#bytes -= held;
        this.#count -= 1;
        held = 0;
      },
    };
  }

  #mustHaveRoomFor(bytes: number): void {
    if (this.#count === 0 || (this.#bytes + bytes <= this.#mostBytes && this.#count < MOST_WEBHOOKS)) return;
    throw new GatewayError(
      'GW_OVERLOADED',
      'Too many webhooks are waiting to be stored (MAX_PENDING_BYTES). This one was not stored; send it again.',
    );
  }
}

/** The length that the head of a request declares; null where it declares none (it comes in chunks). */
export function declaredLength({ headers }: IncomingMessage): number | null {
  const length = headers['content-length'];
  return length === undefined ? null : Number(length);
}

/**
 * Reads a body to its end. What is too large is not kept: the rest of it is read and dropped, so that the client gets to
 * read its answer. @throws GatewayError GW_TOO_LARGE, GW_OVERLOADED; Error where the connection ended before the body did
 */
export async function readBody(request: IncomingMessage, mostBytes: number, share: Share): Promise<Buffer> {
  const tooLarge = (): GatewayError =>
    new GatewayError('GW_TOO_LARGE', `The request body is larger than ${mostBytes} bytes (MAX_BODY_BYTES).`);
  if ((declaredLength(request) ?? 0) > mostBytes) throw tooLarge();
  const cutOff = (): GatewayError =>
    new GatewayError('GW_BAD_REQUEST', 'The connection closed before the whole body arrived.');
  if (request.destroyed) throw cutOff(); // while its secret was looked at: it would never say so again
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const giveUp = (error: Error): void => {
      request.off('data', take).resume();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > mostBytes) {
        giveUp(tooLarge());
        return;
      }
      try {
        share.cover(length);
        chunks.push(chunk);
      } catch (error) {
        giveUp(error as Error);
      }
    };
    request.on('data', take);
    request.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    request.on('error', () => reject(cutOff())); // a client that leaves in mid-body is no fault of ours
    request.on('close', () => reject(cutOff()));
  });
}
