import ipaddr from 'ipaddr.js';

/** Which addresses targets may have: the setting TARGET_NETWORKS. Pure. */
export interface TargetNetworks {
  allows(address: string): boolean;
}

type Range = ipaddr.IPv4 | ipaddr.IPv6;

const PRIVATE_RANGES = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']);
/** Services of clouds (metadata, keys, DNS, agents) that are not in the link-local range. */
const METADATA: readonly [Range, number][] = [
  'fd00:ec2::/32', // Amazon
  'fd20:ce::254/128', // Google
  'fd00:42::42/128', // Scaleway
  '100.100.100.200/32', // Alibaba
  '168.63.129.16/32', // Azure
].map((cidr) => ipaddr.parseCIDR(cidr));
/** IPv4 addresses in the form that IPv6 gave up (`::a.b.c.d`): nobody routes them, some systems still take them apart. */
const IPV4_COMPATIBLE = ipaddr.parseCIDR('::/96');

/**
 * `public`: only public addresses. `private`: loopback and private ones too. A comma list of CIDRs: these on top of
 * `public`. Link-local, metadata, multicast and unspecified addresses are never allowed by a word; a CIDR that names
 * them says so on purpose. IPv4 addresses inside IPv6 ones are judged as what they are.
 * @throws Error in words for the user, when the setting makes no sense
 */
export function parseTargetNetworks(setting: string): TargetNetworks {
  if (setting === 'public' || setting === 'private') {
    const isPrivateAllowed = setting === 'private';
    return {
      allows: (address) => judged(address, (range) => isPublic(range) || (isPrivateAllowed && isPrivate(range))),
    };
  }
  const cidrs = setting.split(',').map((text) => cidrOf(text.trim()));
  return {
    allows: (address) => judged(address, (range) => isPublic(range) || cidrs.some((cidr) => contains(cidr, range))),
  };
}

function judged(address: string, rule: (range: Range) => boolean): boolean {
  return ipaddr.isValid(address) && rule(ipaddr.process(address));
}

function isPublic(address: Range): boolean {
  return address.range() === 'unicast' && !isMetadata(address) && !contains(IPV4_COMPATIBLE, address);
}

function isPrivate(address: Range): boolean {
  return PRIVATE_RANGES.has(address.range()) && !isMetadata(address);
}

function isMetadata(address: Range): boolean {
  return METADATA.some((cidr) => contains(cidr, address));
}

function cidrOf(text: string): [Range, number] {
  if (!ipaddr.isValidCIDR(text))
    throw new Error(`"${text}" is neither "public", "private" nor a CIDR such as 10.0.0.0/8`);
  return ipaddr.parseCIDR(text);
}

function contains([network, bits]: [Range, number], address: Range): boolean {
  if (address instanceof ipaddr.IPv4) return network instanceof ipaddr.IPv4 && address.match(network, bits);
  return network instanceof ipaddr.IPv6 && address.match(network, bits);
}
