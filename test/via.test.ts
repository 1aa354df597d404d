import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasComeThrough, viaFrom, viaAfter } from '../src/via.js';

describe('the list of gateways that a webhook passed through', () => {
  it('keeps its order and grows at its end', () => {
    const via = viaFrom('gtw_a;dlv_1,gtw_b;dlv_2');
    expect(via).toBe('gtw_a;dlv_1, gtw_b;dlv_2');
    expect(viaAfter(via, 'gtw_c', 'dlv_3')).toBe('gtw_a;dlv_1, gtw_b;dlv_2, gtw_c;dlv_3');
    expect(viaAfter(null, 'gtw_c', 'dlv_3')).toBe('gtw_c;dlv_3');
  });

  it('matches a gateway only by its full id', () => {
    const via = 'gtw_a;dlv_1, gtw_b;gtw_c';
    expect(['gtw_a', 'gtw_b', 'gtw', 'gtw_c'].map((id) => hasComeThrough(via, id))).toEqual([true, true, false, false]);
    expect(hasComeThrough(null, 'gtw_a')).toBe(false);
  });

  it('keeps the last sixteen', () => {
    const names = Array.from({ length: 40 }, (_, number) => `gtw_${number};dlv`);
    expect(viaFrom(names.join())?.split(', ')).toEqual(names.slice(-16));
    expect(viaAfter(viaFrom(names.join()), 'gtw_x', 'dlv').split(', ')).toEqual([...names.slice(-15), 'gtw_x;dlv']);
  });

  it('contains only entries of this form, for any header', () => {
    expect(viaFrom(undefined)).toBeNull();
    expect(viaFrom(', a;b;c, \u00e9;b, a b;c, x, gtw_a;dlv_1 ,')).toBe('gtw_a;dlv_1');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 5000 }), (text) => {
        expect(viaAfter(viaFrom(text), 'gtw_a', 'dlv_1')).toMatch(/^([\w-]{1,64};[\w-]{1,64}(, |$)){1,16}$/);
      }),
    );
  });
});
