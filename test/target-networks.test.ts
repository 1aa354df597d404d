import { describe, expect, it } from 'vitest';
import { parseTargetNetworks } from '../src/target-networks.js';
import { NEVER_ALLOWED, PRIVATE, PUBLIC, SPECIAL } from './support/addresses.js';

/** The addresses that a setting allows. */
function allowed(setting: string, addresses: readonly string[]): string[] {
  return addresses.filter(parseTargetNetworks(setting).allows);
}

describe('TARGET_NETWORKS=public', () => {
  it('allows public addresses', () => {
    expect(allowed('public', PUBLIC)).toEqual(PUBLIC);
  });

  it('refuses private, special and dangerous addresses, also in IPv6 forms', () => {
    expect(allowed('public', [...PRIVATE, ...SPECIAL, ...NEVER_ALLOWED])).toEqual([]);
  });

  it.each(['', 'localhost', '127.0.0.1.example', '300.1.1.1', '1.2.3.4/8', ':::', '::8.8.8.8'])(
    'refuses %j, which is not an address or not routed',
    (text) => {
      expect(allowed('public', [text])).toEqual([]);
    },
  );
});

describe('TARGET_NETWORKS=private', () => {
  it('allows loopback and private addresses too', () => {
    expect(allowed('private', [...PUBLIC, ...PRIVATE])).toEqual([...PUBLIC, ...PRIVATE]);
  });

  it('refuses special and dangerous ones', () => {
    expect(allowed('private', [...SPECIAL, ...NEVER_ALLOWED])).toEqual([]);
  });
});

describe('TARGET_NETWORKS as a list', () => {
  it('allows the listed networks in addition to the public ones', () => {
    const named = ['10.1.2.3', '::ffff:10.1.2.3', 'fd12::5', '8.8.8.8'];
    const others = ['10.2.0.1', '127.0.0.1', '::1', 'fd13::5'];
    expect(allowed('10.1.0.0/16, fd12::/16', [...named, ...others])).toEqual(named);
    expect(allowed('::ffff:10.1.0.0/112,fd12::/16', [...named, ...others])).toEqual(named);
  });

  it('allows special networks that are listed', () => {
    const addresses = ['198.18.0.1', '64:ff9b:1::a00:1', '2001:db8::1'];
    expect(allowed('198.18.0.0/15,64:ff9b:1::/48,2001:db8::/32', addresses)).toEqual(addresses);
  });

  it('refuses metadata, link-local, multicast and unspecified addresses even if every network is listed', () => {
    expect(allowed('0.0.0.0/0,::/0', NEVER_ALLOWED)).toEqual([]);
    expect(allowed('0.0.0.0/0,::/0', [...PUBLIC, ...PRIVATE])).toEqual([...PUBLIC, ...PRIVATE]);
  });

  it.each([
    '169.254.0.0/16',
    '169.254.10.0/24',
    'fe80::/64',
    '100.100.100.200/32',
    '0.0.0.0/8',
    '10.0.0.0/8,ff02::/16',
  ])('cannot contain %s, where no target can be', (setting) => {
    expect(() => parseTargetNetworks(setting)).toThrow(/where no target may be/);
  });

  it.each(['everything', 'Public', '10.0.0.0', '10.0.0.0/33', '10.0.0.0/8,', 'private,10.0.0.0/8', '/8'])(
    'refuses %j and lists the valid values',
    (setting) => {
      expect(() => parseTargetNetworks(setting)).toThrow(/is neither "public", "private" nor a CIDR/);
    },
  );
});
