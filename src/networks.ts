import ipaddr from 'ipaddr.js';

/** IP addresses and networks, as the settings and HTTP headers write them. Pure. */

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type Network = [Address, bits: number];

/** A CIDR such as `10.0.0.0/8`, or null. `::ffff:10.0.0.0/104` becomes `10.0.0.0/8`. */
export function networkOf(cidr: string): Network | null {
  return ipaddr.isValidCIDR(cidr) ? unmapped(ipaddr.parseCIDR(cidr)) : null;
}

function unmapped([address, bits]: Network): Network {
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96;
  return isMapped ? [address.toIPv4Address(), bits - 96] : [address, bits];
}

export function contains([network, bits]: Network, address: Address): boolean {
  if (address instanceof ipaddr.IPv4) return network instanceof ipaddr.IPv4 && address.match(network, bits);
  return network instanceof ipaddr.IPv6 && address.match(network, bits);
}

/** `10.0.0.5:4711`, as some proxies write it. */
const IPV4_WITH_PORT = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/;
/** `[2001:db8::1]` or `[2001:db8::1]:4711`. */
const IN_BRACKETS = /^\[([^[\]]+)\](?::\d{1,5})?$/;

/**
 * An address as a connection or `X-Forwarded-For` gives it, where proxies add ports, brackets and zones. An IPv4
 * address that is mapped to IPv6 is the IPv4 address. Null for anything else, such as `unknown`.
 */
export function addressOf(text: string): Address | null {
  const bare = (IPV4_WITH_PORT.exec(text) ?? IN_BRACKETS.exec(text))?.[1] ?? text;
  const withoutZone = bare.replace(/%[\w.-]+$/, '');
  // IPv4.isValid accepts octal and short forms, which no header uses.
  if (ipaddr.IPv4.isValidFourPartDecimal(withoutZone)) return ipaddr.IPv4.parse(withoutZone);
  return ipaddr.IPv6.isValid(withoutZone) ? ipaddr.process(withoutZone) : null;
}

/** The network of `bits` bits that an address is in, as a CIDR: `2001:db8::/64`. */
export function networkAround(address: Address, bits: number): string {
  const bytes = address.toByteArray().map((byte, at) => (at < bits / 8 ? byte : 0));
  return `${ipaddr.fromByteArray(bytes).toString()}/${bits}`;
}
