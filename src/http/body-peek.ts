import { Readable } from 'node:stream';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';

/** The beginning of a body, and the body from its beginning on. */
export interface Peeked {
  readonly head: Buffer;
  readonly body: Buffer | Readable;
}

/** Reads a body until it ends or `mostBytes` have come. @throws what the stream fails with */
export async function peek(stream: Readable, mostBytes: number): Promise<Peeked> {
  const chunks: Buffer[] = [];
  const source = stream[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>;
  for (let size = 0; size < mostBytes;) {
    const next = await source.next();
    if (next.done === true) return { head: Buffer.concat(chunks), body: Buffer.concat(chunks) };
    chunks.push(next.value);
    size += next.value.length;
  }
  const head = Buffer.concat(chunks);
  return { head, body: Readable.from(startingWith(head, source), { objectMode: false }) };
}

async function* startingWith(head: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* rest;
}

const DECODERS: Readonly<Record<string, (body: Buffer, options: { maxOutputLength: number }) => Buffer>> = {
  gzip: gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
};

/** A body as text, to be looked at; '' where it is compressed and cannot be read, or is larger than `mostBytes`. */
export function decodedText(body: Buffer, encoding: string | undefined, mostBytes: number): string {
  const decode = encoding === undefined ? undefined : DECODERS[encoding.trim().toLowerCase()];
  if (!decode) return body.toString('utf8', 0, mostBytes);
  try {
    return decode(body, { maxOutputLength: mostBytes }).toString('utf8');
  } catch {
    return '';
  }
}

/** Keeps what passes, as long as it is not more than `mostBytes`. */
export class BodyCopy {
  readonly #mostBytes: number;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  async *of(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.#size += chunk.length;
      if (this.#size <= this.#mostBytes) this.#chunks.push(chunk);
      else this.#chunks = [];
      yield chunk;
    }
  }

  /** All that passed; null where that is more than was to be kept. */
  get whole(): Buffer | null {
    return this.#size <= this.#mostBytes ? Buffer.concat(this.#chunks) : null;
  }
}
