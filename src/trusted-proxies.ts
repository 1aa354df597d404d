import { addressOf, contains, networkOf } from './networks.js';
import type { Network } from './networks.js';

/** The reverse proxies whose `X-Forwarded-For` is believed: the setting TRUSTED_PROXIES. Pure. */
export interface TrustedProxies {
  /** `address`: of a connection, or an entry of `X-Forwarded-For`. */
  trusts(address: string): boolean;
}

const LOOPBACK = ['127.0.0.0/8', '::1/128'];

/**
 * A comma-separated list of CIDRs, addresses and the word `loopback`.
 * @throws Error with a message for the user if the setting is invalid
 */
export function parseTrustedProxies(setting: string): TrustedProxies {
  const parts = setting.split(',').map((text) => text.trim());
  const networks = parts.flatMap((part) => (part === 'loopback' ? LOOPBACK : [part])).map(proxyNetwork);
  return {
    trusts: (text) => {
      const address = addressOf(text);
      return address !== null && networks.some((network) => contains(network, address));
    },
  };
}

function proxyNetwork(text: string): Network {
  const address = addressOf(text);
  const network = address ? networkOf(`${address.toString()}/${address.toByteArray().length * 8}`) : networkOf(text);
  if (!network) throw new Error(`"${text}" is neither "loopback", an address nor a CIDR`);
  if (network[1] === 0) throw new Error(`"${text}" trusts everyone, so that any client could claim any address`);
  return network;
}
