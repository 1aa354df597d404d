import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../errors.js';
import { cutOff } from './problem.js';

/** Most webhooks in memory: each costs some kilobytes besides its body. */
const MOST_WEBHOOKS = 5000;

/** The memory that one webhook has reserved. */
interface Share {
  /** Extends the reservation when more bytes arrive than declared. @throws GatewayError GW_OVERLOADED */
  cover(bytes: number): void;
  free(): void;
}

/**
 * Load shedding: limits the webhooks that wait for their commit, by number and bytes. A webhook beyond the limit is refused
 * before its body is read, and Whapi sends it again. Without it, a disk that stalls for a minute would exhaust the memory.
 * A single webhook is always accepted.
 */
export class PendingWebhooks {
  readonly #mostBytes: number;
  #bytes = 0;
  #count = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** What is reserved at the moment. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param declared its content length; 0 without one. @throws GatewayError GW_OVERLOADED */
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

/** The declared content length; null for a chunked request. */
export function declaredLength({ headers }: IncomingMessage): number | null {
  const length = headers['content-length'];
  return length === undefined ? null : Number(length);
}

/**
 * Reads a body to its end. The rest of a body that is too large is read and dropped, so that the client gets to read the
 * response. @throws GatewayError GW_TOO_LARGE, GW_OVERLOADED, GW_BAD_REQUEST (the connection closed early)
 */
export async function readBody(request: IncomingMessage, mostBytes: number, share: Share): Promise<Buffer> {
  const tooLarge = (): GatewayError =>
    new GatewayError('GW_TOO_LARGE', `The request body is larger than ${mostBytes} bytes (MAX_BODY_BYTES).`);
  if ((declaredLength(request) ?? 0) > mostBytes) throw tooLarge();
  if (request.destroyed) throw cutOff(); // closed during authentication: no event follows
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
    request.on('error', () => reject(cutOff())); // a client that leaves is not an error of the gateway
    request.on('close', () => {
      if (!request.readableEnded) reject(cutOff()); // an error for each webhook would cost 9 µs of CPU
    });
  });
}
