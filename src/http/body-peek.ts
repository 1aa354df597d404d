import { Readable } from 'node:stream';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';

/** The beginning of a body, and the whole body, which can still be read. */
export interface Peeked {
  readonly head: Buffer;
  readonly body: Buffer | Readable;
}

/** Reads a body until it ends, or until `mostBytes` have arrived. @throws the error of the stream */
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

/** A body as text; '' when it cannot be decompressed or is larger than `mostBytes`. */
export function decodedText(body: Buffer, encoding: string | undefined, mostBytes: number): string {
  const decode = encoding === undefined ? undefined : DECODERS[encoding.trim().toLowerCase()];
  if (!decode) return body.toString('utf8', 0, mostBytes);
  try {
    return decode(body, { maxOutputLength: mostBytes }).toString('utf8');
  } catch {
    return '';
  }
}

/** Copies a stream that passes through, up to `mostBytes`. */
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

  /** The whole body; null if it is longer than the limit. */
  get whole(): Buffer | null {
    return this.#size <= this.#mostBytes ? Buffer.concat(this.#chunks) : null;
  }
}
