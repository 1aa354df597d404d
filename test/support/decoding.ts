import { decodeInSlices } from '../../src/intake/decode.js';
import type { Document } from '../../src/intake/decode.js';

/** Decodes the body of an arriving webhook, and counts the pauses in which other work could run. */
export function decodeArriving(body: string | Buffer): { document: Document; pauses: number } {
  const work = decodeInSlices(Buffer.from(body), { method: 'POST', suffix: '' });
  for (let pauses = 0; ; pauses += 1) {
    const step = work.next();
    if (step.done === true) return { document: step.value, pauses };
  }
}
