/** Addresses that no target may have, whatever TARGET_NETWORKS says. */
export const NEVER_ALLOWED: readonly string[] = [
  ...['0.0.0.0', '0.0.0.1', '0.255.255.255', '255.255.255.255'],
  ...['169.254.0.1', '169.254.169.254', '169.254.169.253', '169.254.170.2', '169.254.170.23', '169.254.255.255'],
  ...['224.0.0.1', '239.255.255.250', '100.100.100.200', '168.63.129.16', '192.0.0.192'],
  ...['::', 'fe80::1', 'fe80::a9fe:a9fe', 'febf::1', 'fec0::1', 'feff::1', 'ff02::1', 'ff0e::1'],
  ...['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:42::42'],
  ...carriersOf('169.254.169.254'),
  ...carriersOf('169.254.170.2'),
  ...carriersOf('100.100.100.200'),
  ...carriersOf('224.0.0.1'),
  ...carriersOf('0.0.0.0'),
];

/** Addresses that `private` allows and `public` does not. */
export const PRIVATE: readonly string[] = [
  ...['127.0.0.1', '127.255.255.254', '10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
  ...['100.64.0.1', '::1', 'fd12:3456::1', 'fc00::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:7f00:1'],
];

/** Neither public nor private: only an explicit CIDR allows them. */
export const SPECIAL: readonly string[] = [
  ...['240.0.0.1', '192.0.2.1', '198.51.100.1', '203.0.113.1', '198.18.0.1', '192.88.99.1', '192.0.0.1'],
  ...['2001:db8::1', '3fff::1', '100::1', '5f00::1', '2001:20::1', '2001:2::1', '2002:808:808::1'],
  ...carriersOf('127.0.0.1').filter((address) => !address.startsWith('::ffff:7f')),
  ...carriersOf('10.0.0.1').filter((address) => !address.startsWith('::ffff:a0')),
];

export const PUBLIC: readonly string[] = [
  ...['93.184.216.34', '8.8.8.8', '223.255.255.1', '2606:4700:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8'],
];

/** Every known way to write an IPv4 address as the host of a URL. */
export function spellingsOf(address: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  const whole = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  const octal = (value: number): string => `0${value.toString(8)}`;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  const wide = (text: string): string => text.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)));
  return [
    ...[address, `${address}.`, `${whole}`, hex(whole), octal(whole), `${whole}.`, hex(whole).toUpperCase()],
    ...[`${a}.${(b << 16) | (c << 8) | d}`, `${a}.${b}.${(c << 8) | d}`],
    ...[[a, b, c, d].map(octal).join('.'), [a, b, c, d].map(hex).join('.'), `${octal(a)}.${b}.${hex(c)}.${d}`],
    ...[`000${octal(a)}.${b}.${c}.${d}`, wide(address), address.replaceAll('.', '。'), address.replaceAll('.', '｡')],
    ...[`%${address.charCodeAt(0).toString(16)}${address.slice(1)}`, address.replaceAll('.', '%2e')],
    ...[`user@${address}`, `user:word@${address}`, `8.8.8.8@${address}`, `bot.example:80@${address}`],
    ...[`[::ffff:${address}]`, `[0:0:0:0:0:ffff:${address}]`, `[::${address}]`],
  ];
}

/** An address as the host of a URL. */
export function hostOf(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** IPv6 addresses that carry an IPv4 one. */
function carriersOf(address: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  const [high, low] = [(a << 8) | b, (c << 8) | d];
  const hex = (value: number): string => value.toString(16);
  const four = `${hex(high)}:${hex(low)}`;
  return [
    `::ffff:${four}`, // mapped
    `::${four}`, // compatible
    `::ffff:0:${four}`, // translated
    `64:ff9b::${four}`, // NAT64
    `64:ff9b:1::${four}`, // NAT64 of a network's own
    `64:ff9b:1:${hex(high)}:${hex(c)}:${hex(d << 8)}::`, // the same, in the place of a prefix of 48 bits
    `2002:${four}::1`, // 6to4
    `2001:0:${four}::1`, // Teredo: the server
    `2001:0:808:808:0:ffff:${hex(high ^ 0xffff)}:${hex(low ^ 0xffff)}`, // Teredo: the client
  ];
}
