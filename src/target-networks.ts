import ipaddr from 'ipaddr.js';
import { contains, networkOf } from './networks.js';
import type { Address, Network } from './networks.js';

/** The addresses that targets and Whapi may have: the setting TARGET_NETWORKS. Pure. */
export interface TargetNetworks {
  allows(address: string): boolean;
}

/** Never allowed, whatever the setting: no bot runs there, and some of these services hand out credentials. */
const NEVER: readonly Network[] = [
  '0.0.0.0/8', // unspecified: many systems treat it as loopback
  '169.254.0.0/16', // link-local, including the metadata service of most clouds
  '224.0.0.0/4', // multicast
  '255.255.255.255/32', // broadcast
  '::/128', // unspecified
  'fe80::/10', // link-local
  'fec0::/10', // site-local, deprecated
  'ff00::/8', // multicast
  // Cloud services (metadata, keys, DNS, agents) outside the link-local range.
  'fd00:ec2::/32', // Amazon
  'fd20:ce::254/128', // Google
  'fd00:42::42/128', // Scaleway
  '100.100.100.200/32', // Alibaba
  '168.63.129.16/32', // Azure
  '192.0.0.192/32', // Oracle
].map((cidr) => ipaddr.parseCIDR(cidr));

const PRIVATE_RANGES = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']);

const NAT64 = ipaddr.parseCIDR('64:ff9b::/96');
const LAST_FOUR = [12, 13, 14, 15];
/** IPv6 networks that embed an IPv4 address, and in which bytes: a translator or tunnel may deliver to that address. */
const CARRIERS: readonly { network: Network; bytes: readonly number[]; isInverted?: boolean }[] = [
  { network: NAT64, bytes: LAST_FOUR },
  { network: ipaddr.parseCIDR('64:ff9b:1::/48'), bytes: LAST_FOUR }, // local-use NAT64 (RFC 8215)
  { network: ipaddr.parseCIDR('::/96'), bytes: LAST_FOUR }, // IPv4-compatible, deprecated
  { network: ipaddr.parseCIDR('::ffff:0:0:0/96'), bytes: LAST_FOUR }, // IPv4-translated
  { network: ipaddr.parseCIDR('2002::/16'), bytes: [2, 3, 4, 5] }, // 6to4
  { network: ipaddr.parseCIDR('2001::/32'), bytes: [4, 5, 6, 7] }, // Teredo: server address
  { network: ipaddr.parseCIDR('2001::/32'), bytes: LAST_FOUR, isInverted: true }, // Teredo: client address
];
/** ipaddr.js reads `::a.b.c.d` as `::ffff:a.b.c.d`, which is a different address. It is not routed anywhere. */
const IPV4_COMPATIBLE = /^[0:]+:\d+\.\d+\.\d+\.\d+$/;

/**
 * `public`: only public addresses. `private`: loopback and private ones too. A comma-separated list of CIDRs: those on
 * top of `public`. Every setting refuses link-local, metadata, multicast and unspecified addresses, including those
 * that are embedded in an IPv6 address.
 * @throws Error with a message for the user if the setting is invalid
 */
export function parseTargetNetworks(setting: string): TargetNetworks {
  const isPrivateAllowed = setting === 'private';
  const isKeyword = isPrivateAllowed || setting === 'public';
  const listedNetworks = isKeyword ? [] : setting.split(',').map((text) => listedNetwork(text.trim()));
  return {
    allows: (text) => {
      if (!ipaddr.isValid(text) || IPV4_COMPATIBLE.test(text)) return false;
      const address = ipaddr.process(text);
      if ([address, ...carriedBy(address)].some(isNever)) return false;
      return (
        isPublic(address) ||
        (isPrivateAllowed && PRIVATE_RANGES.has(address.range())) ||
        listedNetworks.some((network) => contains(network, address))
      );
    },
  };
}

/** A network without IPv4 reaches public bots through NAT64, so the embedded address decides. */
function isPublic(address: Address): boolean {
  if (contains(NAT64, address)) return carriedBy(address).every(isPublic);
  return address.range() === 'unicast' && carriedBy(address).length === 0;
}

function isNever(address: Address): boolean {
  return NEVER.some((network) => contains(network, address));
}

function carriedBy(address: Address): ipaddr.IPv4[] {
  if (address.range() === 'loopback') return []; // ::1 does not embed 0.0.0.1
  const bytes = address.toByteArray();
  return CARRIERS.filter(({ network }) => contains(network, address)).map(
    (carrier) => new ipaddr.IPv4(carrier.bytes.map((at) => (bytes[at] ?? 0) ^ (carrier.isInverted ? 0xff : 0))),
  );
}

function listedNetwork(text: string): Network {
  const network = networkOf(text);
  if (!network) throw new Error(`"${text}" is neither "public", "private" nor a CIDR such as 10.0.0.0/8`);
  if (NEVER.some((never) => never[1] <= network[1] && contains(never, network[0])))
    throw new Error(`"${text}" is link-local, metadata, multicast or unspecified, where no target may be`);
  return network;
}
