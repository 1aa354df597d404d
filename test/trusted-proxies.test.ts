import { describe, expect, it } from 'vitest';
import { parseTrustedProxies } from '../src/trusted-proxies.js';

describe('TRUSTED_PROXIES', () => {
  it.each([
    ['loopback', ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '[::1]:80'], ['10.0.0.1', '::2']],
    ['10.0.0.0/8', ['10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1', '10.0.0.1:4711'], ['11.0.0.1', '::1', '::a00:1']],
    ['10.0.0.5', ['10.0.0.5'], ['10.0.0.4', '10.0.0.6']],
    ['::ffff:10.0.0.0/104', ['10.0.0.1', '::ffff:10.0.0.1'], ['11.0.0.1']],
    ['2001:db8::/32', ['2001:db8::7', '[2001:db8::7]', '[2001:DB8::7]:443', '2001:db8::7%eth0'], ['2001:db9::', '::1']],
    ['loopback, 10.0.0.5 ,2001:db8::1', ['127.0.0.1', '10.0.0.5', '2001:db8::1'], ['10.0.0.6', '2001:db8::2']],
  ])('"%s" trusts %j, but not %j', (setting, trusted, untrusted) => {
    const { trusts } = parseTrustedProxies(setting);
    expect(trusted.filter((address) => !trusts(address))).toEqual([]);
    expect(untrusted.filter(trusts)).toEqual([]);
  });

  it.each([
    '',
    'unknown',
    '_hidden',
    'proxy.example',
    '010.0.0.1',
    '0xa.0.0.1',
    '10.1',
    '10.0.0.1:',
    '10.0.0.1:x',
    '[10.0.0.1',
    'undefined',
  ])('trusts nothing that is not an address: "%s"', (text) => {
    expect(parseTrustedProxies('10.0.0.0/8').trusts(text)).toBe(false);
  });

  it.each(['yes', '10.0.0.0/33', '10.0.0.0/8,', 'proxy.example', '0.0.0.0/0', '::/0', 'loopback 10.0.0.1'])(
    'cannot be "%s"',
    (setting) => {
      expect(() => parseTrustedProxies(setting)).toThrow(/neither|trusts everyone/);
    },
  );
});
