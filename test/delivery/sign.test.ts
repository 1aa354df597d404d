import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { signatureHeaders, signersOf } from '../../src/delivery/sign.js';
import type { Sealed } from '../../src/model.js';
import { target } from '../support/items.js';

const secrets = fc
  .uint8Array({ minLength: 24, maxLength: 64 })
  .map((bytes) => `whsec_${Buffer.from(bytes).toString('base64')}`);
const ids = fc.stringMatching(/^dlv_[0-9a-z]{1,20}$/);
const times = fc.integer({ min: 0, max: 4_000_000_000_000 });
/** The library takes a body as text only, so these are valid UTF-8. */
const bodies = fc.oneof(fc.string({ unit: 'binary', maxLength: 2000 }), fc.json({ maxDepth: 3 }));

function headersOf(keys: readonly string[], id: string, body: Buffer, now: number): Record<string, string> {
  const [secret = '' as Sealed, ...previous] = keys as Sealed[];
  const previousSecrets = previous.map((one) => ({ secret: one, expiresAt: now + 1 }));
  return signatureHeaders(signersOf(target({ secret, previousSecrets }), String), id, body, now);
}

describe('the signature of a delivery', () => {
  it("is the reference library's for any secret, id, time and body", () => {
    fc.assert(
      fc.property(secrets, ids, times, bodies, (secret, id, now, text) => {
        const seconds = Math.floor(now / 1000);
        expect(headersOf([secret], id, Buffer.from(text), now)).toEqual({
          'webhook-id': id,
          'webhook-timestamp': String(seconds),
          'webhook-signature': new Webhook(secret).sign(id, new Date(seconds * 1000), text),
        });
      }),
      { numRuns: 500 },
    );
  });

  it('comes once for each secret that is valid, in their order, and the reference library verifies each', () => {
    const rotations = fc.array(secrets, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(rotations, ids, bodies, (keys, id, text) => {
        const headers = headersOf(keys, id, Buffer.from(text), Date.now());
        const signatures = String(headers['webhook-signature']).split(' ');
        expect(signatures).toHaveLength(keys.length);
        keys.forEach((secret, at) => {
          const alone = { ...headers, 'webhook-signature': signatures[at] ?? '' };
          expect(() => new Webhook(secret).verify(text, alone, { jsonParse: false })).not.toThrow();
        });
      }),
    );
  });

  it('covers megabytes and bytes that are not UTF-8 without changing them', () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const large = 'é'.repeat(2_000_000);
    const signed = headersOf([secret], 'dlv_1', Buffer.from(large), 1_700_000_000_000);
    expect(signed['webhook-signature']).toBe(new Webhook(secret).sign('dlv_1', new Date(1_700_000_000_000), large));
    const [one, other] = [0xfe, 0xff].map((byte) => headersOf([secret], 'dlv_1', Buffer.from([byte]), 0));
    expect(one).not.toEqual(other);
  });

  it('leaves out secrets that have expired', () => {
    const secret = `whsec_${Buffer.alloc(24, 1).toString('base64')}` as Sealed;
    const signers = signersOf(target({ secret, previousSecrets: [{ secret, expiresAt: 1000 }] }), String);
    const signaturesAt = (now: number): string | undefined =>
      signatureHeaders(signers, 'dlv_1', Buffer.from('{}'), now)['webhook-signature'];
    expect(signaturesAt(999)?.split(' ')).toHaveLength(2);
    expect(signaturesAt(1000)?.split(' ')).toHaveLength(1);
  });
});
